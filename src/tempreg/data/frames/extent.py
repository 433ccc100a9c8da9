"""How long recordings last and how busy they are: what a network trained on them has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from tempreg.data.frames.recordings import Recordings

FAR = 2.0
"""Beyond so many times the most, or below the least divided by it, is far from what was seen."""


@final
@dataclass(frozen=True)
class Extent:
    """Least and most over recordings that have events.

    Attributes:
        microseconds: from the first event to the last.
        events: how many there are.
    """

    microseconds: tuple[int, int]
    events: tuple[int, int]

    @classmethod
    def of(cls, recordings: Recordings) -> Extent | None:
        """Of recordings; None where none has an event."""
        begins, ends = recordings.offsets[:-1], recordings.offsets[1:]
        there = ends > begins
        if not there.any():
            return None
        first, last = recordings.t[begins[there]], recordings.t[ends[there] - 1]
        lasts = last.astype(np.int64) - first.astype(np.int64) + 1
        counts = (ends - begins)[there]
        return cls(
            (int(lasts.min()), int(lasts.max())),
            (int(counts.min()), int(counts.max())),
        )

    @classmethod
    def over(cls, extents: Iterable[Extent | None]) -> Extent | None:
        """Of all together."""
        there = [extent for extent in extents if extent is not None]
        if not there:
            return None
        return cls(
            (min(e.microseconds[0] for e in there), max(e.microseconds[1] for e in there)),
            (min(e.events[0] for e in there), max(e.events[1] for e in there)),
        )

    def doubts(self, one: Extent) -> list[str]:
        """How one recording differs from those that were trained on, in words; see `FAR`."""
        found = []
        lasts, (least, most) = one.microseconds[0], self.microseconds
        if lasts > FAR * most or lasts * FAR < least:
            said = (
                f"lasts {seconds(lasts)}, and what was trained on {between(seconds, least, most)}"
            )
            if lasts > most:
                said += ": cut it (tempreg data cut), or slide over it (tempreg predict --window)"
            found.append(said)
        count, (fewest, highest) = one.events[0], self.events
        if count > FAR * highest or count * FAR < fewest:
            what = f"has {count:,} event{'s' * (count != 1)}"
            found.append(f"{what}, and what was trained on {between(_number, fewest, highest)}")
        return found


def extent_of(values: Mapping[str, Any]) -> Extent:
    """As `dataclasses.asdict` wrote it; KeyError, TypeError or ValueError for anything else."""
    (shortest, longest), (fewest, most) = values["microseconds"], values["events"]
    return Extent((int(shortest), int(longest)), (int(fewest), int(most)))


def seconds(microseconds: float) -> str:
    """A time with its unit."""
    if microseconds < 1e6:
        return f"{microseconds / 1000:.3g} ms"
    return f"{microseconds / 1e6:.4g} s"


def between(words: Callable[[int], str], least: int, most: int) -> str:
    """A range, in the words of a function."""
    return words(least) if least == most else f"{words(least)} to {words(most)}"


def _number(value: int) -> str:
    return f"{value:,}"
