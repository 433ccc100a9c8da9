"""Parts that aren't official, drawn so that no session is in two of them, or said where one is.

Of a class of three sessions or more whole ones are held out. Of two, one is the test and a stretch
of the other's time validation. Of one, both are stretches of its time, at either end of it. Beside
a stretch some samples are left out, for what follows each other at once is nearly the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tempreg.data.splits.cautions import cautions
from tempreg.data.splits.drawn import held_out
from tempreg.data.splits.enough import enough, left_to_train
from tempreg.data.splits.sessions import Sessions

_GAP, _GAP_FROM = 0.03, 10
"""Share of a class's samples that is left out beside a stretch; at least one of so many samples,
where they are known to be of one session."""
OUT = "out"
"""What is in no part."""


@final
@dataclass(frozen=True)
class Drawn:
    """Where samples are.

    Attributes:
        part: of SPLITS, or `OUT`, [N].
        cautions: what limits what the parts can show, a sentence each.
    """

    part: NDArray[np.str_]
    cautions: tuple[str, ...] = ()


def draw(
    labels: NDArray[np.int64],
    shares: Mapping[str, float],
    seed: int,
    classes: Sequence[str] = (),
    sessions: Sessions | None = None,
) -> Drawn:
    """Test and validation samples, about a share of each class, and the rest to train on.

    Args:
        labels: class indices [N].
        shares: in (0, 1), by part; what is drawn, of "test" and "validation" in this order.
        seed: >= 0; the same seed gives the same parts.
        classes: names, for sentences.
        sessions: what belongs together; None: each sample is on its own.

    Raises:
        DataError: a class that has too few samples for that; it is named.
    """
    wanted = list(shares)
    enough(labels, classes, sorted(wanted, reverse=True))
    part = np.full(len(labels), "train", dtype="<U10")
    units = None if sessions is None or not wanted else sessions.units(labels, 0)
    for place, (name, share) in enumerate(shares.items()):
        left = np.flatnonzero(part == "train")
        leave = len(wanted) - place
        if units is None or sessions is None:
            part[left[held_out(labels[left], share, seed, classes=classes)]] = name
        else:
            _hold_out(part, labels, sessions, name, share, seed, leave)
        kept = labels[part == "train"]
        left_to_train(labels, kept, classes, share)
    if units is None or sessions is None:
        return Drawn(part)
    said = cautions(labels, units, part == OUT, wanted, classes, sessions.guessed)
    return Drawn(part, said)


def _hold_out(
    part: NDArray[np.str_],
    labels: NDArray[np.int64],
    sessions: Sessions,
    name: str,
    share: float,
    seed: int,
    leave: int,
) -> None:
    """Mark what is in the part `name`: of classes that have several sessions left whole ones."""
    left = np.flatnonzero(part == "train")
    units = sessions.of(left).units(labels[left], int(labels.max(initial=0)) + 1)
    several = left[units[labels[left]] > 1]
    if len(several):
        kept = np.minimum(leave, np.maximum(units - 1, 1))[: int(labels[several].max()) + 1]
        held = held_out(labels[several], share, seed, sessions.numbers[several], leave=kept)
        part[several[held]] = name
    first = bool(np.random.default_rng(seed).integers(2)) ^ (name == "validation")
    for label in np.flatnonzero(units == 1):
        rows = left[labels[left] == label]
        rows = rows[np.argsort(sessions.order[rows], kind="stable")]
        rows = rows if first else rows[::-1]
        size = max(1, round(share * len(rows)))
        surely = len(rows) >= _GAP_FROM and int(label) not in sessions.guessed
        gap = max(int(surely), round(_GAP * len(rows)))
        part[rows[:size]] = name
        part[rows[size : size + gap]] = OUT
