"""LIF layers of other libraries, set to be the same neuron: used where installed.

The neuron is tau 2 (membrane halved at each step), threshold 1, hard reset to 0, triangle
surrogate of half width 1. Each library says that in its own way:

    SpikingJelly  tau=2 with decay_input=False: v - v / tau + x is v / 2 + x at tau 2 alone
    snnTorch      beta=0.5, reset "zero"; its reset is always a constant to the gradient
    Norse         LIFBox, dt * tau_mem_inv = 0.5 acts on the input, too: it is given 2 x
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn


@final
class _SpikingJelly(nn.Module):
    """LIFNode in its multi-step mode."""

    def __init__(self) -> None:
        super().__init__()
        base = "spikingjelly.activation_based"
        neuron, surrogate, self.functional = (
            importlib.import_module(f"{base}.{name}")
            for name in ("neuron", "surrogate", "functional")
        )
        self.node = neuron.LIFNode(
            tau=2.0,
            decay_input=False,
            v_threshold=1.0,
            v_reset=0.0,
            surrogate_function=surrogate.PiecewiseQuadratic(alpha=1.0),
            step_mode="m",
        )

    def forward(self, x: Tensor) -> Tensor:
        """Spikes."""
        self.functional.reset_net(self.node)
        spikes: Tensor = self.node(x)
        return spikes


@final
class _Triangle(torch.autograd.Function):
    """A step whose derivative is max(0, 1 - |u|), for snnTorch, which has none such."""

    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:
        """1 where u > 0."""
        ctx.save_for_backward(u)
        return (u > 0).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Tensor:
        """The triangle."""
        (u,) = ctx.saved_tensors
        slope: Tensor = grad_outputs[0] * (1 - u.abs()).clamp(min=0)
        return slope


@final
class _SnnTorch(nn.Module):
    """Leaky in a loop over time, as its users write it."""

    def __init__(self) -> None:
        super().__init__()
        library = importlib.import_module("snntorch")
        self.leaky = library.Leaky(
            beta=0.5, threshold=1.0, reset_mechanism="zero", spike_grad=_Triangle.apply
        )

    def forward(self, x: Tensor) -> Tensor:
        """Spikes."""
        mem, spikes = torch.zeros_like(x[0]), []
        for x_t in x.unbind(0):
            spike, mem = self.leaky(x_t, mem)
            spikes.append(spike)
        return torch.stack(spikes)


@final
class _Norse(nn.Module):
    """LIFBox in a loop over time."""

    def __init__(self) -> None:
        super().__init__()
        library = importlib.import_module("norse.torch")
        parameters = library.LIFBoxParameters(
            tau_mem_inv=torch.as_tensor(500.0), method="triangle", alpha=1.0
        )
        self.cell = library.LIFBoxCell(p=parameters, dt=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes."""
        state, spikes = None, []
        for x_t in (2 * x).unbind(0):
            spike, state = self.cell(x_t, state)
            spikes.append(spike)
        return torch.stack(spikes)


@final
@dataclass(frozen=True)
class Peer:
    """Another library's LIF.

    Attributes:
        name: as its authors write it.
        package: what is imported.
        layer: makes a module [T, *N] -> spikes [T, *N].
        detach_reset: whether its gradient takes the reset for a constant.
        spike_error: how much its spikes may differ from ours in norm: above 0 where it rounds
            otherwise, so that a neuron within rounding of the threshold may spike or not.
    """

    name: str
    package: str
    layer: Callable[[], nn.Module]
    detach_reset: bool = False
    spike_error: float = 0.0

    @property
    def installed(self) -> bool:
        """Whether it can be imported."""
        return importlib.util.find_spec(self.package) is not None


PEERS = (
    Peer("SpikingJelly", "spikingjelly", _SpikingJelly),
    Peer("snnTorch", "snntorch", _SnnTorch, detach_reset=True),
    Peer("Norse", "norse", _Norse, spike_error=3e-3),
)


def present(say: Callable[[str], None], names: tuple[str, ...] | None = None) -> list[Peer]:
    """Those of `names` (default: all) that are installed; the others are named to `say`."""
    wanted = [peer for peer in PEERS if names is None or peer.name in names]
    if absent := [peer.package for peer in wanted if not peer.installed]:
        say(f"not installed, so not compared: {', '.join(absent)}")
    return [peer for peer in wanted if peer.installed]
