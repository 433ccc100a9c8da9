"""Neurons of any equation: charge, fire, reset, one timestep after the other, under autograd.

    state = charge(x[t], state)       the first of it is h[t], the potential before the spike
    s[t]  = fire(state)               1 where h[t] > threshold(state); a surrogate gradient
    state = reset(s[t], state)        the first of it is v[t]

To make one, subclass `StepNeuron`: name the `states` and define `charge`; the others have defaults.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, overload

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from tempreg.ops.dispatch import DTYPES, check_state, state_dtype
from tempreg.ops.spec import LIFSpec, checked_spec
from tempreg.options.keywords import passes_on_to
from tempreg.options.neuron import NeuronConstants
from tempreg.surrogate import Spike

State = tuple[Tensor, ...]
"""Tensors [*N], in the order of `StepNeuron.states`; the first is the membrane potential."""


class StepNeuron(nn.Module, ABC):
    """A layer of neurons with equations of its own. Subclass it, and define `charge`.

    Attributes:
        states: names of the state's tensors; the first is the membrane potential, and is v between
            timesteps and h between charge and reset.
        between: those by which neurons of the layer reach each other, as the last spikes of a
            recurrent layer do; what an analysis says of a neuron alone takes them as given.
        spike: the autograd function of a spike, which analyses replace by one of both modes.

    The arguments are those of `tempreg.functional.lif`, but for tau and backend: v_threshold,
    v_reset, surrogate, surrogate_param, detach_reset.
    """

    states: tuple[str, ...] = ("v",)
    between: ClassVar[tuple[str, ...]] = ()
    spike: type[Spike] = Spike

    @passes_on_to(LIFSpec)
    def __init__(self, **constants: Unpack[NeuronConstants]) -> None:
        super().__init__()
        self.spec = checked_spec(**constants)

    @abstractmethod
    def charge(self, x: Tensor, state: State) -> State:
        """The state [*N] each with the input x[t] [*N] taken in, h[t] first."""

    def threshold(self, state: State) -> Tensor | float:
        """What h[t] must be above for a spike, of the charged state: v_threshold."""
        return self.spec.v_threshold

    def fire(self, state: State) -> Tensor:
        """Spikes [*N] of the charged state, with the surrogate's gradient by h - threshold."""
        u = state[0] - self.threshold(state)
        spikes: Tensor = self.spike.apply(u, 0.0, self.spec.surrogate, self.spec.surrogate_param)
        return spikes

    def reset(self, s: Tensor, state: State) -> State:
        """The state after the spikes s [*N]: the potential's reset, and the rest as it is."""
        return (self.after_spikes(s, state), *state[1:])

    def after_spikes(self, s: Tensor, state: State) -> Tensor:
        """v[t]: (1 - s) h + s v_reset, or h - s threshold where v_reset is None."""
        s = s.detach() if self.spec.detach_reset else s
        if self.spec.v_reset is None:
            return state[0] - s * self.threshold(state)
        return (1.0 - s) * state[0] + s * self.spec.v_reset

    def initial_state(self, x: Tensor) -> State:
        """The state before the first timestep of x [T, *N]: zeros [*N] each."""
        zeros = x.new_zeros(x.shape[1:], dtype=state_dtype(x.dtype))
        return (zeros,) * len(self.states)

    @overload
    def __call__(self, x: Tensor) -> Tensor: ...
    @overload
    def __call__(self, x: Tensor, state: State) -> tuple[Tensor, State]: ...
    def __call__(self, x: Tensor, state: State | None = None) -> Tensor | tuple[Tensor, State]:
        """Run the module, hooks included; see `forward`."""
        result: Tensor | tuple[Tensor, State] = super().__call__(x, state)
        return result

    def forward(self, x: Tensor, state: State | None = None) -> Tensor | tuple[Tensor, State]:
        """Spikes [T, *N] of the input x [T, *N], in its dtype; with a state, also the last one.

        Raises:
            ValueError, TypeError: an input without timesteps or that isn't floating point, or a
                state that doesn't fit it.
        """
        check_input(x)
        begun = self.initial_state(x) if state is None else self._checked(x, state)
        made, last = self.run(x.to(begun[0].dtype), begun)
        made = made.to(x.dtype)
        return made if state is None else (made, last)

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All timesteps, in the dtype of the state: spikes [T, *N] and the last state."""
        spikes = []
        for current in x.unbind(0):
            charged = self.charge(current, state)
            s = self.fire(charged)
            state = self.reset(s, charged)
            spikes.append(s)
        return torch.stack(spikes), state

    def _checked(self, x: Tensor, state: State) -> State:
        if len(state) != len(self.states):
            raise ValueError(
                f"the state of {type(self).__name__} is {', '.join(self.states)}, got "
                f"{len(state)} tensors"
            )
        for each in state:
            check_state(x, each)
        return tuple(each.to(state_dtype(x.dtype)) for each in state)

    def extra_repr(self) -> str:
        """The constants, for print(model)."""
        return ", ".join(f"{name}={value!r}" for name, value in self.spec._asdict().items())


def check_input(x: Tensor) -> None:
    """TypeError or ValueError where x isn't floating point, or has no timesteps [T, *N]."""
    if x.dtype not in DTYPES:
        raise TypeError(f"the input must be a floating-point tensor, got {x.dtype}")
    if x.ndim < 1 or x.shape[0] < 1:
        raise ValueError(
            f"the input must have shape [T, ...] with T >= 1 timesteps, got {[*x.shape]}"
        )
