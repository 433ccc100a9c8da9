"""TRT for a sinabs model, which has batch first inside: python examples/frameworks/sinabs_trt.py"""

from __future__ import annotations

import math

import sinabs.activation as activation
import sinabs.layers as layers
import torch
from loop import NUM_STEPS, fit
from torch import nn

from tempreg.interop import sinabs


def lif() -> nn.Module:
    return layers.LIFSqueeze(
        tau_mem=1 / math.log(2),  # half of the membrane potential is left after a timestep
        norm_input=False,
        spike_fn=activation.SingleSpike,
        reset_fn=activation.MembraneReset(),
        num_timesteps=NUM_STEPS,
    )


def network() -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(2, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        lif(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        lif(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 8 * 8, 10),
    )
    return sinabs.TimeFirst(net, num_steps=NUM_STEPS, num_classes=10)


if __name__ == "__main__":
    torch.manual_seed(0)
    print(f"test accuracy {fit(network()):.1%}")
