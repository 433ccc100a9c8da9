"""TRT for a Norse model, whose state is explicit: python examples/frameworks/norse_trt.py"""

from __future__ import annotations

import norse.torch as norse
import torch
from loop import NUM_STEPS, fit
from torch import nn

from tempreg.interop import norse as interop


def lif() -> nn.Module:
    # dt * tau_mem_inv = 0.5: half of the membrane potential is left after a timestep.
    parameters = norse.LIFBoxParameters(
        tau_mem_inv=torch.tensor(500.0), method="triangle", alpha=1.0
    )
    return norse.LIFBoxCell(parameters)


def network() -> nn.Module:
    net = norse.SequentialState(
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
    for module in net:
        if isinstance(module, nn.BatchNorm2d):
            # Norse multiplies inputs by dt * tau_mem_inv, too.
            nn.init.constant_(module.weight, 2.0)
    return interop.TimeFirst(net, num_steps=NUM_STEPS, per_step=True, num_classes=10)


if __name__ == "__main__":
    torch.manual_seed(0)
    print(f"test accuracy {fit(network()):.1%}")
