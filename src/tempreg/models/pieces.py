"""A network by name that is shown a sequence piece by piece, its state handed from one to the next.

The modules are the network's own; while a piece runs, neurons and readout begin with the state that
is given. What they compute is what they compute of the whole sequence, to rounding, wherever
timesteps meet in states alone: not in batch norm's statistics while it is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, final

from torch import Tensor

from tempreg.models.base import SpikingNetwork
from tempreg.models.layers import Dropout

State = Tensor | tuple[Tensor, ...]
"""What one module hands on: as its `initial_state` gives it, [B, ...] each."""
States = dict[int, State]
"""By the module's place in `Stateful.modules`."""


@final
class Piece(NamedTuple):
    """Some timesteps of a sequence.

    Attributes:
        start, length: of them, counted from 0; length >= 1.
        total: timesteps of the whole sequence.
    """

    start: int
    length: int
    total: int

    def of(self, x: Tensor) -> Tensor:
        """Its part of frames [total, B, C, H, W]; of images [B, C, H, W] all."""
        return x if x.ndim == 4 else x[self.start : self.start + self.length]


def pieces_of(total: int, length: int) -> list[Piece]:
    """All timesteps in order, `length` >= 1 in each piece and what is left in the last."""
    return [Piece(at, min(length, total - at), total) for at in range(0, total, length)]


@final
class Stateful:
    """Runs pieces of a sequence.

    Args:
        network: by name; neither it nor its weights are changed.
    """

    def __init__(self, network: SpikingNetwork) -> None:
        self.network = network
        self.modules: list[Any] = [m for m in network.modules() if hasattr(m, "initial_state")]
        self.dropouts = [m for m in network.modules() if isinstance(m, Dropout)]

    @contextmanager
    def at(self, piece: Piece, states: States) -> Iterator[States]:
        """Within it, the network takes `piece.of(x)`, and no padding into account.

        It begins with `states`, those after the piece before, or its first where there are none;
        what it leaves is in the value, once it was called.
        """
        network, after = self.network, States()
        before = network.num_steps, network.padded
        network.num_steps, network.padded = piece.length, False
        for place, module in enumerate(self.modules):
            module.forward = _from_state(module, states.get(place), after, place)
        for dropout in self.dropouts:
            dropout.span = piece.start, piece.total
        try:
            yield after
        finally:
            network.num_steps, network.padded = before
            for module in self.modules:
                del module.forward
            for dropout in self.dropouts:
                dropout.span = None


def _from_state(
    module: Any, state: State | None, after: States, place: int
) -> Callable[..., Tensor]:
    """The module's forward pass from this state, which leaves the one after it at its place."""

    def forward(x: Tensor, _: object = None) -> Tensor:
        begun = module.initial_state(x) if state is None else state
        made: Tensor
        made, after[place] = type(module).forward(module, x, begun)
        return made

    return forward
