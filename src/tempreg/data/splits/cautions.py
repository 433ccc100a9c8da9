"""What parts can't show that had to be drawn from too few sessions, in sentences."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray


def cautions(
    labels: NDArray[np.int64],
    units: NDArray[np.int64],
    left_out: NDArray[np.bool_],
    drawn: Collection[str],
    classes: Sequence[str],
    guessed: Collection[int],
) -> tuple[str, ...]:
    """A sentence for classes of one session, one for those whose names count, one for two sessions.

    Args:
        labels: class indices [N].
        units: sessions of each class.
        left_out: samples that are in no part, [N].
        drawn: the parts that are drawn, of "test" and "validation"; at least one.
        classes: names.
        guessed: class indices whose samples may be of one session, for their names only count.
    """
    single = [int(c) for c in np.flatnonzero(units == 1)]
    known = [c for c in single if c not in guessed]
    counting = [c for c in single if c in guessed]
    two = [int(c) for c in np.flatnonzero(units == 2)] if len(drawn) == 2 else []
    parts = " and ".join(drawn)
    are = f"{parts} {'are stretches' if len(drawn) > 1 else 'is a stretch'}"
    found = []
    if known:
        number = int((labels == known[0]).sum())
        found.append(
            f"not a test of another session: all {number} samples of class "
            f"{_named(known, classes)} are of one, so {are} of its time, with "
            f"{_count(labels, left_out, known)} left out in between; record three sessions or more "
            "of each class for an honest test"
        )
    if counting:
        found.append(
            f"perhaps not a test of other recordings: the names of class "
            f"{_named(counting, classes)} only count, as pieces of one recording and pictures of "
            f"one burst do, so {are} of their numbers, with "
            f"{_count(labels, left_out, counting)} left out in between; put the files of each "
            "session into a folder (class/session/file), or say that each is on its own "
            "(data.sessions none)"
        )
    if two:
        found.append(
            f"not a validation on another session: class {_named(two, classes)} has two, of which "
            f"one is the test and validation a stretch of the other's time, with "
            f"{_count(labels, left_out, two)} left out beside it; record a third one of each class"
        )
    return tuple(found)


def shared(sessions: Sequence[tuple[str, str, str]]) -> tuple[str, ...]:
    """A sentence where a class has pieces of one session in two of the parts that are given.

    Args:
        sessions: part, class and session of each sample that has one.
    """
    parts_of: dict[tuple[str, str], set[str]] = {}
    for part, name, session in sessions:
        parts_of.setdefault((name, session), set()).add(part)
    twice = {key: sorted(parts) for key, parts in parts_of.items() if len(parts) > 1}
    if not twice:
        return ()
    (name, session), parts = next(iter(sorted(twice.items())))
    more = f" (and {len(twice) - 1} more alike)" if len(twice) > 1 else ""
    return (
        f"not a test of another session: session {session!r} of class {name!r} is in "
        f"{' and in '.join(parts)}{more}, so the parts share what was recorded in one go; keep "
        "each session in one part",
    )


def _named(indices: Sequence[int], classes: Sequence[str]) -> str:
    first = indices[0]
    name = repr(str(classes[first])) if first < len(classes) else str(first)
    more = len(indices) - 1
    return f"{name} (and of {more} more)" if more else name


def _count(labels: NDArray[np.int64], left_out: NDArray[np.bool_], indices: Sequence[int]) -> str:
    number = int((left_out & np.isin(labels, indices)).sum())
    return f"{number or 'none'} of them" if number != 1 else "one of them"
