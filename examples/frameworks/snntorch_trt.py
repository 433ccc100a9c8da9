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
        mem1, mem2, mem3 = (m.reset_mem() for m in (self.lif1, self.lif2, self.readout))
        spikes, membranes = [], []
        for frame in frames:
            spk, mem1 = self.lif1(self.norm1(self.conv1(frame)), mem1)
            spk, mem2 = self.lif2(self.norm2(self.conv2(self.pool(spk))), mem2)
            spk, mem3 = self.readout(self.head(self.pool(spk).flatten(1)), mem3)
            spikes.append(spk)
            membranes.append(mem3)
        return torch.stack(spikes), torch.stack(membranes)


def network() -> nn.Module:
    # output=1: the membrane potentials are the logits. They don't leak here (beta=0), so that
    # the network is the same as those of the other examples.
    return interop.TimeFirst(Network(), num_steps=NUM_STEPS, output=1, num_classes=10)


if __name__ == "__main__":
    torch.manual_seed(0)
    print(f"test accuracy {fit(network()):.1%}")
