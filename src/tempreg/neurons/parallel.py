"""Parallel spiking neurons: no reset, so that all timesteps are one product (arXiv 2304.12760).

    h = W x + b over time,    s[t] = 1 if h[t] > v_threshold else 0

W and b are learned, one of each a layer, and start as published; the published threshold of a
timestep is v_threshold - b[t]. Which timesteps W lets a spike see is what the three differ in.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn
from typing_extensions import override

from tempreg.errors import RequestError
from tempreg.neurons.steps import State, StepNeuron, check_input
from tempreg.ops.dispatch import state_dtype
from tempreg.ops.spec import LIFSpec, checked_spec
from tempreg.options.field import check_option
from tempreg.options.neuron import NeuronOptions, StepOptions
from tempreg.surrogate import Spike


@final
class OtherTimesteps(RequestError):
    """Another number of timesteps than a PSN was made for; the message says what to do."""


@final
class PSN(nn.Module):
    """The parallel spiking neuron: W [T, T] without a mask, so that a spike sees later timesteps.

    It can't be stepped, knows no other T, and what a network with it says before its last timestep
    rests on all of them: that is no early answer.

    Args:
        num_steps: T >= 1.
        v_threshold, surrogate, surrogate_param: see `tempreg.functional.lif`.

    Attributes:
        mixing, offset: W [T, T] and b [T].
        spike: as of `StepNeuron`.
    """

    spike: type[Spike] = Spike

    def __init__(
        self,
        num_steps: int,
        *,
        v_threshold: float = NeuronOptions.v_threshold,
        surrogate: str = NeuronOptions.surrogate,
        surrogate_param: float = NeuronOptions.surrogate_param,
    ) -> None:
        super().__init__()
        self.spec: LIFSpec = checked_spec(
            v_threshold=v_threshold, surrogate=surrogate, surrogate_param=surrogate_param
        )
        self.num_steps = num_steps
        self.mixing = nn.Parameter(_first_mixing(num_steps))
        self.offset = nn.Parameter(torch.zeros(num_steps))

    def __call__(self, x: Tensor) -> Tensor:
        """Run the module, hooks included; see `forward`."""
        made: Tensor = super().__call__(x)
        return made

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, *N] of the input x [T, *N], in its dtype.

        Raises:
            OtherTimesteps: x has another T.
            TypeError: x isn't floating point.
        """
        check_input(x)
        if len(x) != self.num_steps:
            raise OtherTimesteps(
                f"a PSN has weights from each of {self.num_steps} timesteps to each, and got "
                f"{len(x)}: give all {self.num_steps} at once, or take masked_psn or sliding_psn "
                "for the neuron, which see the past alone"
            )
        own = x.to(state_dtype(x.dtype))
        u = _mixed(self.mixing, self.offset, own) - self.spec.v_threshold
        spikes: Tensor = self.spike.apply(u, 0.0, self.spec.surrogate, self.spec.surrogate_param)
        return spikes.to(x.dtype)

    def extra_repr(self) -> str:
        """The constants, for print(model)."""
        return f"num_steps={self.num_steps}, {_constants(self.spec)}"


class _PastPSN(StepNeuron, ABC):
    """One that sees its own and the `order` - 1 timesteps before: subclass it, and say its weights.

        h[t] = sum_{j < order} w_j[t] x[t - j] + b[t]

    A whole sequence is one product; with a state it goes step by step, the same to rounding.
    """

    def __init__(self, reach: int, v_threshold: float, surrogate: str, param: float) -> None:
        super().__init__(v_threshold=v_threshold, surrogate=surrogate, surrogate_param=param)
        self.reach = reach
        self.states = ("h", "seen", *(f"x{j}" for j in range(1, reach)))

    @abstractmethod
    def tap(self, lag: int, when: Tensor) -> Tensor:
        """w_lag at the timesteps `when` (int64), of its shape or 0-d."""

    @abstractmethod
    def shift(self, when: Tensor) -> Tensor:
        """b at the timesteps `when`, of its shape or 0-d."""

    @override
    def charge(self, x: Tensor, state: State) -> State:
        _, seen, *before = state
        inputs, when = [x, *before], seen.long()
        h = self.tap(0, when) * x
        for lag, past in enumerate(before, 1):
            h = h + self.tap(lag, when) * past
        return (h + self.shift(when), seen + 1, *inputs[: self.reach - 1])

    @override
    def reset(self, s: Tensor, state: State) -> State:
        return state

    @override
    def forward(self, x: Tensor, state: State | None = None) -> Tensor | tuple[Tensor, State]:
        """See `StepNeuron.forward`."""
        if state is not None:
            return super().forward(x, state)
        check_input(x)
        own, steps = x.to(state_dtype(x.dtype)), len(x)
        when = torch.arange(steps, device=x.device)
        diagonals = [
            torch.diag_embed(self.tap(lag, when[lag:]).expand(steps - lag), -lag)
            for lag in range(min(self.reach, steps))
        ]
        matrix = torch.stack(diagonals).sum(dim=0)
        h = _mixed(matrix, self.shift(when).expand(steps), own)
        return self.fire((h,)).to(x.dtype)

    def extra_repr(self) -> str:
        """The constants, for print(model)."""
        return f"order={self.reach}, {_constants(self.spec)}"


@final
class MaskedPSN(_PastPSN):
    """The masked one: W [T, T] of which a spike sees its own and the `order` - 1 timesteps before.

        h[t] = sum_{j < order} W[t, t - j] x[t - j] + b[t]

    Masked from the first epoch on, where published training fades the mask in. Beyond num_steps
    the last timestep's weights go on.

    Args:
        num_steps: T >= 1.
        order: >= 1; above T it is T.
        v_threshold, surrogate, surrogate_param: see `tempreg.functional.lif`.

    Attributes:
        mixing, offset: W [T, T] and b [T].
        states: h, how many timesteps were seen, and the inputs before.
    """

    def __init__(
        self,
        num_steps: int,
        *,
        order: int = StepOptions.order,
        v_threshold: float = NeuronOptions.v_threshold,
        surrogate: str = NeuronOptions.surrogate,
        surrogate_param: float = NeuronOptions.surrogate_param,
    ) -> None:
        check_option(StepOptions, "order", order)
        first = _first_mixing(num_steps)
        super().__init__(min(order, num_steps), v_threshold, surrogate, surrogate_param)
        self.num_steps = num_steps
        self.mixing = nn.Parameter(first)
        self.offset = nn.Parameter(torch.zeros(num_steps))

    @override
    def tap(self, lag: int, when: Tensor) -> Tensor:
        row = nn.functional.pad(self.mixing.diagonal(-lag), (lag, 0))
        return row[when.clamp(max=self.num_steps - 1)]

    @override
    def shift(self, when: Tensor) -> Tensor:
        return self.offset[when.clamp(max=self.num_steps - 1)]


@final
class SlidingPSN(_PastPSN):
    """The sliding one: the same `order` weights at every timestep.

        h[t] = sum_{j < order} w[j] x[t - j] + b

    Args:
        order: >= 1.
        v_threshold, surrogate, surrogate_param: see `tempreg.functional.lif`.

    Attributes:
        taps, offset: w [order], which starts as 1, 1/2, 1/4 and so on, and b, 0-d.
        states: as of `MaskedPSN`.
    """

    def __init__(
        self,
        *,
        order: int = StepOptions.order,
        v_threshold: float = NeuronOptions.v_threshold,
        surrogate: str = NeuronOptions.surrogate,
        surrogate_param: float = NeuronOptions.surrogate_param,
    ) -> None:
        check_option(StepOptions, "order", order)
        super().__init__(order, v_threshold, surrogate, surrogate_param)
        self.taps = nn.Parameter(0.5 ** torch.arange(order))
        self.offset = nn.Parameter(torch.tensor(0.0))

    @override
    def tap(self, lag: int, when: Tensor) -> Tensor:
        return self.taps[lag]

    @override
    def shift(self, when: Tensor) -> Tensor:
        return self.offset


def _first_mixing(num_steps: int) -> Tensor:
    """W as it starts: uniform within 1 / sqrt(T); ValueError without a timestep."""
    if num_steps < 1:
        raise ValueError(f"num_steps must be >= 1, got {num_steps}")
    bound = 1.0 / math.sqrt(num_steps)
    return torch.empty(num_steps, num_steps).uniform_(-bound, bound)


def _mixed(w: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """w x + b over time, of x [T, *N]; in x's precision, under autocast too."""
    kind = x.device.type
    w, b = w.to(x), b.to(x).view(-1, *[1] * (x.ndim - 1))
    if not torch.is_autocast_enabled(kind):
        mixed: Tensor = torch.tensordot(w, x, dims=1)
    else:
        with torch.autocast(kind, enabled=False):
            mixed = torch.tensordot(w, x, dims=1)
    return mixed + b


def _constants(spec: LIFSpec) -> str:
    names = ("v_threshold", "surrogate", "surrogate_param")
    return ", ".join(f"{name}={getattr(spec, name)!r}" for name in names)
