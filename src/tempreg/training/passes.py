"""Forward and backward pass of a batch: at once, or piece by piece in time with less memory.

The loss L is the objective's, of all timesteps' logits o. With weights w and the states v after
each piece of the sequence, the chain rule gives, from the last piece to the first,

    dL/dw = sum_c (dL/do_c do_c/dw + dL/dv_c dv_c/dw)
    dL/dv_{c-1} = dL/do_c do_c/dv_{c-1} + dL/dv_c dv_c/dv_{c-1}

A first pass keeps no graph, but the states between the pieces and the logits; L and dL/do follow
from these. Then each piece is computed once more, and its graph is gone before the next one's is
made. With dL/dv_c = 0 in place of the second line, gradients don't reach back beyond the beginning
of a piece: truncated backpropagation through time (Williams and Peng 1990).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from typing import final

import torch
from torch import Tensor, nn
from typing_extensions import override

from tempreg.models import SpikingNetwork
from tempreg.models.padding import held, lengths_for
from tempreg.models.pieces import Piece, State, Stateful, States, pieces_of
from tempreg.models.recompute import statistics_kept
from tempreg.options.passes import Recompute

Gradients = dict[int, list[Tensor | None]]
"""Of the tensors of each state in `States`; None where nothing depends on one."""


class Passes(ABC):
    """How a batch becomes logits, and their gradient that of the weights."""

    @abstractmethod
    def outputs(self, x: Tensor) -> Tensor:
        """Logits [T, B, K] of a batch, ready for the loss."""

    @abstractmethod
    def finish(self) -> None:
        """Called once the loss of the last outputs had its backward pass: what that left out."""


@final
class AtOnce(Passes):
    """All timesteps together, `model` being the network as its processes and precision wrap it."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    @override
    def outputs(self, x: Tensor) -> Tensor:
        made: Tensor = self.model(x)
        return made

    @override
    def finish(self) -> None:
        pass


@final
class PieceByPiece(Passes):
    """A piece of the sequence at a time; see the module's docstring. One piece is all at once.

    Args:
        network: by name.
        call: runs the network, in the precision of the run.
        length: timesteps of a piece, >= 1, from T.
        through: whether gradients go from a piece into the one before.
    """

    def __init__(
        self,
        network: SpikingNetwork,
        call: Callable[[Tensor], Tensor],
        length: Callable[[int], int],
        *,
        through: bool,
    ) -> None:
        self.network, self.call, self.length, self.through = network, call, length, through
        self.stateful = Stateful(network)
        self._x, self._logits = torch.empty(0), torch.empty(0)
        self._draws = _Draws(self._x)
        self._begun: list[tuple[Piece, States]] = []

    @override
    def outputs(self, x: Tensor) -> Tensor:
        steps = len(x) if x.ndim == 5 else self.network.num_steps
        if self.length(steps) >= steps:  # nothing to put together
            return self.call(x)
        self._x, self._draws, self._begun = x, _Draws(x), []
        states, made = States(), []
        with torch.no_grad():
            for piece in pieces_of(steps, self.length(steps)):
                self._begun.append((piece, states))
                self._draws.again()
                with self.stateful.at(piece, states) as states:
                    made.append(self.call(piece.of(x)))
        self._logits = torch.cat(made).requires_grad_()
        lengths = lengths_for(self.network, x)
        return self._logits if lengths is None else held(self._logits, lengths)

    @override
    def finish(self) -> None:
        of_logits = self._logits.grad
        of_states: Gradients = {}
        with statistics_kept(self.network):
            for piece, states in reversed(self._begun):
                assert of_logits is not None
                own = of_logits[piece.start : piece.start + piece.length]
                of_states = self._back(piece, states, own, of_states)
        self._x, self._logits, self._begun = torch.empty(0), torch.empty(0), []

    def _back(self, piece: Piece, states: States, own: Tensor, later: Gradients) -> Gradients:
        """The backward pass of a piece, whose logits have the gradient `own` and whose last states
        the gradients `later` (none where it is empty); the gradients of the states before it."""
        begun = {place: _leaves(state, self.through) for place, state in states.items()}
        self._draws.again()
        with self.stateful.at(piece, begun) as after:
            logits = self.call(piece.of(self._x))
            roots, gradients = [logits], [own.to(logits.dtype)]
            for place, of_state in later.items():
                for end, gradient in zip(_tensors(after[place]), of_state, strict=True):
                    if gradient is not None and end.requires_grad:
                        roots.append(end)
                        gradients.append(gradient)
            torch.autograd.backward(roots, gradients)
        if not self.through:
            return {}
        return {place: [leaf.grad for leaf in _tensors(state)] for place, state in begun.items()}


@final
class _Draws:
    """Where random numbers stood, on the CPU and where x is: each piece's dropout begins there."""

    def __init__(self, x: Tensor) -> None:
        self.device = x.device
        self.cpu = torch.get_rng_state()
        self.gpu = torch.cuda.get_rng_state(x.device) if x.device.type == "cuda" else None

    def again(self) -> None:
        """Go back to there."""
        torch.set_rng_state(self.cpu)
        if self.gpu is not None:
            torch.cuda.set_rng_state(self.gpu, self.device)


def _tensors(state: State) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, Tensor) else state


def _leaves(state: State, through: bool) -> State:
    """Without what led to it; with gradients of its own where these go `through`."""
    if not isinstance(state, Tensor):
        return tuple(_leaf(tensor, through) for tensor in state)
    return _leaf(state, through)


def _leaf(tensor: Tensor, through: bool) -> Tensor:
    return tensor.detach().requires_grad_(through and tensor.is_floating_point())


def square_root(steps: int) -> int:
    """Timesteps of a piece with which both pieces and timesteps in one are about sqrt(T)."""
    return math.isqrt(steps - 1) + 1


def make_passes(
    model: nn.Module,
    network: nn.Module,
    precision: object,
    recompute: Recompute = "nothing",
    truncate: int = 0,
) -> Passes:
    """As the settings of a run say; `precision` is Fabric's, `model` as its processes wrap it."""
    if recompute != "time" and not truncate:
        return AtOnce(model)
    assert isinstance(network, SpikingNetwork)  # checked with the settings

    return PieceByPiece(
        network,
        _in_precision(network, precision),
        (lambda steps: truncate) if truncate else square_root,
        through=not truncate,
    )


def _in_precision(network: nn.Module, precision: object) -> Callable[[Tensor], Tensor]:
    """The network in Fabric's precision, without its wrapper, which wants one backward pass."""
    context = getattr(precision, "forward_context", nullcontext)
    given = getattr(precision, "convert_input", _as_it_is)
    taken = getattr(precision, "convert_output", _as_it_is)

    def call(x: Tensor) -> Tensor:
        with context():
            made: Tensor = network(given(x))
        result: Tensor = taken(made)
        return result

    return call


def _as_it_is(x: Tensor) -> Tensor:
    return x
