"""Spiking neurons as modules. State goes in and comes out; no module keeps any.

    y = neuron(x)                  a whole sequence [T, *N], from a membrane potential of 0
    y, state = neuron(x, state)    a piece of one; the next piece takes the state it returns

`neuron.initial_state(x)` gives the first state. To add a neuron, subclass `Neuron` and say
what its tau is; IF, LIF and PLIF are final.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import final, overload

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from tempreg.ops import dispatch
from tempreg.ops.spec import LIFSpec, checked_spec, checked_tau, tau_from
from tempreg.options.keywords import passes_on_to
from tempreg.options.neuron import NeuronConstants, NeuronKeywords, NeuronOptions

__all__ = ["IF", "LIF", "PLIF", "Neuron"]


class Neuron(nn.Module, ABC):
    """A layer of leaky integrate-and-fire neurons; the equations are in `functional.lif`.

    Subclasses define `tau`: the divisor of the membrane potential at each timestep, a float
    or a 0-d tensor, >= 1. The arguments are those of `tempreg.functional.lif`.
    """

    @passes_on_to(LIFSpec)
    def __init__(self, *, backend: str = "auto", **constants: Unpack[NeuronConstants]) -> None:
        super().__init__()
        if backend not in dispatch.BACKENDS:
            names = ", ".join(dispatch.BACKENDS)
            raise ValueError(f"unknown backend {backend!r}: choose one of {names}")
        self.spec = checked_spec(**constants)
        self.backend = backend

    @abstractmethod
    def current_tau(self) -> Tensor | float:
        """The tau of this call."""

    def initial_state(self, x: Tensor) -> Tensor:
        """The membrane potential before the first timestep of x [T, *N]: zeros [*N]."""
        return x.new_zeros(x.shape[1:], dtype=dispatch.state_dtype(x.dtype))

    @overload
    def __call__(self, x: Tensor) -> Tensor: ...
    @overload
    def __call__(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]: ...
    def __call__(self, x: Tensor, state: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Run the module, hooks included; see `forward`."""
        result: Tensor | tuple[Tensor, Tensor] = super().__call__(x, state)
        return result

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Spikes [T, *N] of the input current x [T, *N]; with a state [*N], also the last one."""
        asked = state is not None
        tau = self.current_tau()
        spikes, last = dispatch.lif(x, state, tau, self.spec, self.backend, last=asked)
        return spikes if last is None else (spikes, last)

    def extra_repr(self) -> str:
        """The settings that differ from one neuron layer to another, for print(model)."""
        settings = [f"{name}={value!r}" for name, value in self.spec._asdict().items()]
        tau = float(torch.as_tensor(self.current_tau()).detach())
        return ", ".join([f"tau={tau:g}", *settings])


@final
class LIF(Neuron):
    """Leaky integrate-and-fire with a fixed tau >= 1, or beta = 1/tau in (0, 1].

    A larger tau forgets faster (v / tau at each step): the opposite of SpikingJelly's tau.
    """

    @passes_on_to(Neuron.__init__)
    def __init__(
        self,
        *,
        tau: float = NeuronOptions.tau,
        beta: float | None = None,
        **keywords: Unpack[NeuronKeywords],
    ) -> None:
        super().__init__(**keywords)
        self.tau = tau_from(tau, beta)

    def current_tau(self) -> float:
        """tau, as given."""
        return self.tau


@final
class IF(Neuron):
    """Integrate-and-fire: LIF that never leaks (tau = 1)."""

    def current_tau(self) -> float:
        """1."""
        return 1.0


@final
class PLIF(Neuron):
    """LIF with a learnable tau = 1 + exp(-w), one a layer, so 1/tau = sigmoid(w).

    After Fang et al. (2021, arXiv 2007.05785). `tau` is where it starts, > 1.
    """

    @passes_on_to(Neuron.__init__)
    def __init__(
        self, *, tau: float = NeuronOptions.tau, **keywords: Unpack[NeuronKeywords]
    ) -> None:
        super().__init__(**keywords)
        if checked_tau(tau) == 1.0:
            raise ValueError("PLIF needs a first tau > 1: 1/tau = sigmoid(w) never reaches 1")
        self.w = nn.Parameter(torch.tensor(-math.log(tau - 1.0)))

    def current_tau(self) -> Tensor:
        """1 + exp(-w), a 0-d tensor."""
        return 1.0 + torch.exp(-self.w)
