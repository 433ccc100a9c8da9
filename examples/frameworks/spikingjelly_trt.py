"""TRT for a SpikingJelly model in multi-step mode.

python examples/frameworks/spikingjelly_trt.py
"""

from __future__ import annotations

import torch
from loop import NUM_STEPS, fit
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

from tempreg.interop import spikingjelly


def lif() -> nn.Module:
    return neuron.LIFNode(
        tau=2.0, decay_input=False, surrogate_function=surrogate.PiecewiseQuadratic(alpha=1.0)
    )


def network() -> nn.Module:
    net = nn.Sequential(
        layer.Conv2d(2, 16, 3, padding=1, bias=False),
        layer.BatchNorm2d(16),
        lif(),
        layer.AvgPool2d(2),
        layer.Conv2d(16, 32, 3, padding=1, bias=False),
        layer.BatchNorm2d(32),
        lif(),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(32 * 8 * 8, 10),
    )
    functional.set_step_mode(net, "m")
    return spikingjelly.TimeFirst(net, num_steps=NUM_STEPS, num_classes=10)


if __name__ == "__main__":
    torch.manual_seed(0)
    print(f"test accuracy {fit(network()):.1%}")
