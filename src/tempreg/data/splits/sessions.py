"""Which samples were recorded in one go, and in which order: what an honest split must know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

_STRETCHES = 20
"""Of a class that is of one session, where folds are dealt."""


@final
@dataclass(frozen=True)
class Sessions:
    """Sessions of N samples, none of which should be in two parts.

    Attributes:
        numbers: a number for each session, int64 [N]; a sample on its own has one of its own.
        order: the samples' places in time, int64 [N]; compared within a session.
        guessed: class indices whose samples may be of one session, for their names only count.
    """

    numbers: NDArray[np.int64]
    order: NDArray[np.int64]
    guessed: frozenset[int] = frozenset()

    def of(self, rows: NDArray[np.int64]) -> Sessions:
        """Those of some samples."""
        return Sessions(self.numbers[rows], self.order[rows], self.guessed)

    def units(self, labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
        """How many sessions each class has, [classes]; labels are class indices [N]."""
        pairs = np.unique(np.stack([labels, self.numbers], axis=1), axis=0)
        units: NDArray[np.int64] = np.bincount(pairs[:, 0], minlength=classes)
        return units

    def for_folds(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers [N], but that a class of one session has up to 20 stretches of its time."""
        found: NDArray[np.int64] = self.numbers.copy()
        units = self.units(labels, 0)
        following = int(found.max(initial=-1)) + 1
        for label in np.flatnonzero(units == 1):
            rows = np.flatnonzero(labels == label)
            rows = rows[np.argsort(self.order[rows], kind="stable")]
            stretches = min(len(rows), _STRETCHES)
            found[rows] = following + np.arange(len(rows)) * stretches // len(rows)
            following += stretches
        return found


def sessions_of(
    names: Sequence[str | None],
    order: Sequence[object],
    targets: ArrayLike,
    counted: Collection[int] = (),
) -> Sessions | None:
    """The sessions of samples; None where each is on its own.

    Args:
        names: of the sessions [N]; None: a sample on its own.
        order: what sorts the samples in time, [N].
        targets: class indices [N].
        counted: class indices whose samples, as far as they have no name, may be of one session.
    """
    labels = np.asarray(targets, dtype=np.int64)
    numbers: dict[str | int | tuple[int], int] = {}
    found = []
    for place, (name, label) in enumerate(zip(names, labels.tolist(), strict=True)):
        own: int | tuple[int] = (label,) if label in counted else place
        found.append(numbers.setdefault(own if name is None else name, len(numbers)))
    if len(numbers) == len(found):
        return None
    ranks = np.empty(len(found), dtype=np.int64)
    ranks[sorted(range(len(found)), key=lambda row: order[row])] = np.arange(len(found))  # type: ignore[arg-type, return-value]
    return Sessions(np.array(found, dtype=np.int64), ranks, frozenset(counted))
