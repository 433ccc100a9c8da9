"""TRT for a snnTorch model that returns (spikes, membranes) of its last layer.

python examples/frameworks/snntorch_trt.py
"""

from __future__ import annotations

import snntorch
import torch
from loop import NUM_STEPS, fit
from snntorch import surrogate
from torch import Tensor, nn

from tempreg.interop import snntorch as interop


def leaky(**options: object) -> snntorch.Leaky:
    return snntorch.Leaky(
        beta=0.5, reset_mechanism="zero", spike_grad=surrogate.atan(alpha=2.0), **options
    )


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 16, 3, padding=1, bias=False)
        self.norm1, self.lif1 = nn.BatchNorm2d(16), leaky()
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.norm2, self.lif2 = nn.BatchNorm2d(32), leaky()
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(32 * 8 * 8, 10)
        self.readout = snntorch.Leaky(beta=0.0, reset_mechanism="none")

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        # Layer by layer: batch norm then sees all timesteps at once. In a loop over timesteps it
        # would normalise each by itself in training, and all alike in evaluation.
        x = run(self.lif1, at_once(self.norm1, at_once(self.conv1, frames)))[0]
        x = at_once(self.conv2, at_once(self.pool, x))
        x = at_once(self.pool, run(self.lif2, at_once(self.norm2, x))[0])
        return run(self.readout, self.head(x.flatten(2)))


def at_once(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def run(neuron: nn.Module, currents: Tensor) -> tuple[Tensor, Tensor]:
    membrane, spikes, membranes = neuron.reset_mem(), [], []
    for current in currents:
        spike, membrane = neuron(current, membrane)
        spikes.append(spike)
        membranes.append(membrane)
    return torch.stack(spikes), torch.stack(membranes)


def network() -> nn.Module:
    # output=1: the membrane potentials are the logits. They don't leak here (beta=0), so that
    # the network is the same as those of the other examples.
    return interop.TimeFirst(Network(), num_steps=NUM_STEPS, output=1, num_classes=10)


if __name__ == "__main__":
    torch.manual_seed(0)
    print(f"test accuracy {fit(network()):.1%}")
