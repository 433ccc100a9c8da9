"""What a made-up recording is, and how random ones are put together."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

Event = tuple[int, int, int, int]
"""t in microseconds, x, y, p."""
CUT = "cut within a word"
"""A feature of streams."""
SENSORS = ((64, 48), (304, 240), (640, 480), (1280, 720))
"""Widths and heights."""


@dataclass(frozen=True)
class Stream:
    """A recording in a file's bytes.

    Attributes:
        suffix: of its file.
        raw: the file.
        features: what it has that some decoders take otherwise, in words.
    """

    suffix: str
    raw: bytes
    features: frozenset[str]


@dataclass
class Draw:
    """Choices for one stream: each feature is in about one stream of fifteen."""

    rng: random.Random
    features: set[str] = field(default_factory=set)

    def some(self, *names: str) -> set[str]:
        """Those of the names that this stream is to have."""
        return {name for name in names if self.rng.random() < 0.07}

    def has(self, name: str) -> None:
        """It has it now."""
        self.features.add(name)

    def sensor(self) -> tuple[int, int]:
        """Width and height."""
        return self.rng.choice(SENSORS)

    def events(self, count: int, width: int, height: int, first: int, last: int) -> list[Event]:
        """In order, with gaps and many at the same time."""
        rng, t, found = self.rng, first, []
        for _ in range(count):
            t += rng.choice((0, 0, 1, 2, rng.randrange(50), rng.randrange(5000)))
            if t >= last:
                break
            found.append((t, rng.randrange(width), rng.randrange(height), rng.randrange(2)))
        return found

    def finished(self, suffix: str, raw: bytes, word: int) -> Stream:
        """The stream, in one of twelve cases cut within a word."""
        if self.rng.random() < 0.08 and word > 1:
            self.has(CUT)
            raw = raw[: -self.rng.randrange(1, word)]
        return Stream(suffix, raw, frozenset(self.features))
