"""From the head's outputs to logits: what a network's answer is, timestep by timestep.

Everywhere the answer after t timesteps is the mean of the logits up to there. A readout gives
logits of which that is true: o[t] is what a timestep adds. Shapes: [T, B, K]; a `state` begins or
goes on a sequence, sample by sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final, overload

import torch
from torch import Tensor, nn
from typing_extensions import override

from tempreg.options import NeuronOptions
from tempreg.options.field import check_option

State = tuple[Tensor, ...]
READOUT = "readout that looks at several timesteps (model.readout)"
"""What exports call one that they have no place for."""
READOUTS = ("logits", "membrane", "last", "attention")


class Readout(nn.Module, ABC):
    """What makes logits of the head's outputs. Subclass it; define `read` and `initial_state`."""

    @abstractmethod
    def initial_state(self, x: Tensor) -> State:
        """Before the first timestep of x [T, B, K]: tensors [B, ...]."""

    @abstractmethod
    def read(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits [T, B, K], and the state after them."""

    @overload
    def __call__(self, x: Tensor) -> Tensor: ...
    @overload
    def __call__(self, x: Tensor, state: State) -> tuple[Tensor, State]: ...
    def __call__(self, x: Tensor, state: State | None = None) -> Tensor | tuple[Tensor, State]:
        """Run the module, hooks included; see `forward`."""
        made: Tensor | tuple[Tensor, State] = super().__call__(x, state)
        return made

    def forward(self, x: Tensor, state: State | None = None) -> Tensor | tuple[Tensor, State]:
        """Logits [T, B, K] of the head's outputs [T, B, K]; with a state, also the next one."""
        made, after = self.read(x, self.initial_state(x) if state is None else state)
        return made if state is None else (made, after)


@final
class MembraneReadout(Readout):
    """Neurons that never fire: o[t] = o[t-1] / tau + x[t], with the tau of the network."""

    def __init__(self, tau: float) -> None:
        super().__init__()
        check_option(NeuronOptions, "tau", tau)
        self.tau = float(tau)

    @override
    def initial_state(self, x: Tensor) -> State:
        return (torch.zeros_like(x[0]),)

    @override
    def read(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        (membrane,), made = state, []
        for current in x.unbind(0):
            membrane = membrane / self.tau + current
            made.append(membrane)
        return torch.stack(made), (membrane,)


class WeightedReadout(Readout, ABC):
    """The answer after t timesteps is c[t], a mean of the head's outputs with weights; so

        o[t] = (t + 1) c[t] - t c[t-1],    c[t] = sum_{s <= t} a[s] x[s] / sum_{s <= t} a[s]

    whose mean up to t is c[t]. The state is c, the logarithm of the sum of weights, and t. Subclass
    it, and define `weighed`.
    """

    @abstractmethod
    def weighed(self, c: Tensor, total: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """c [B, K] and the logarithm of the sum of weights [B], with x [B, K] of timestep t [B]."""

    @override
    def initial_state(self, x: Tensor) -> State:
        nothing = x.new_full(x.shape[1:2], -torch.inf)
        return torch.zeros_like(x[0]), nothing, torch.zeros_like(nothing, dtype=torch.int64)

    @override
    def read(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        (c, total, t), made = state, []
        for given in x.unbind(0):
            before = c
            c, total = self.weighed(c, total, given, t)
            count = t[:, None].to(c.dtype)
            made.append((count + 1) * c - count * before)
            t = t + 1
        return torch.stack(made), (c, total, t)


@final
class LastReadout(WeightedReadout):
    """c[t] = x[t]: what came before doesn't count."""

    @override
    def weighed(self, c: Tensor, total: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return x, total


@final
class AttentionReadout(WeightedReadout):
    """a[t] = exp(score[t]): a learned share of each timestep, equal at first, which makes o = x.

    Beyond `num_steps` the last one's goes on. Scores [num_steps].
    """

    def __init__(self, num_steps: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(num_steps))

    @override
    def weighed(self, c: Tensor, total: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        score = self.scores[t.clamp(max=len(self.scores) - 1)].to(c.dtype)
        total = torch.logaddexp(total, score)
        return c + (score - total).exp()[:, None] * (x - c), total


def make_readout(kind: str, *, tau: float, num_steps: int) -> Readout | None:
    """Of `NetworkOptions.readout`; None for "logits", which are the head's outputs themselves."""
    if kind not in READOUTS:
        raise ValueError(f"unknown readout {kind!r}: choose one of {', '.join(READOUTS)}")
    if kind == "membrane":
        return MembraneReadout(tau)
    if kind == "last":
        return LastReadout()
    return AttentionReadout(num_steps) if kind == "attention" else None
