"""Frames of events that come one after another, as training made them of whole recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tempreg.data.errors import DataError
from tempreg.data.frames.extent import Extent
from tempreg.data.frames.frames import resized, resized_bilinearly
from tempreg.options import DataOptions

_LATEST = 2**63 - 1
RESTART = 1_000_000
"""Microseconds: a time so far before the last one means that the clock began again."""


@final
@dataclass
class Dropped:
    """Events that came and are in no frame.

    Attributes:
        late: of a frame that was over already.
        outside: no pixel of the sensor, or a polarity that is neither 0 nor 1.
        restarts: how often the clock began again, which ends a sample.
    """

    late: int = 0
    outside: int = 0
    restarts: int = 0


@final
class LiveFrames:
    """The frames of one sample after another, each T of them at most.

    A sample begins with its first event. Of `data.frames` duration, a frame lasts `frame_ms`; of
    time, a T-th of a sample, whose length isn't known before its end and is therefore given here;
    of count and number, it holds a T-th of so many events as are given. A frame is there once an
    event came that lies behind it. What is kept is one frame: memory doesn't grow.

    Args:
        sensor_size: (H, W) of the events.
        options: how training made frames; T is its `num_steps`.
        extent: of the recordings that were trained on, whose middle gives what isn't given.
        sample_ms: of time: milliseconds a sample, > 0.
        sample_events: of count and number: events a sample, >= T.

    Raises:
        DataError: frames that need the whole recording, or a length that isn't known or positive.

    Attributes:
        dropped: what came and is in no frame.
        ends: when each frame of the last `push` was over, in microseconds: the end of its span, or
            of equally many events the time of its last one.
    """

    def __init__(
        self,
        sensor_size: tuple[int, int],
        options: DataOptions,
        *,
        extent: Extent | None = None,
        sample_ms: float | None = None,
        sample_events: int | None = None,
    ) -> None:
        if options.normalise != "none":
            raise DataError(
                f"data.normalise {options.normalise} divides by a number of the whole recording, "
                "which isn't known while events come: train with data.normalise none"
            )
        if options.frames == "published":
            raise DataError("data.frames published needs whole recordings: train with another")
        self.options, self.sensor_size = options, sensor_size
        self.by_time = options.frames in ("time", "duration")
        self._width = _width(options, extent, sample_ms, sample_events)
        self.dropped = Dropped()
        self.ends: list[int] = []
        self._grid = np.zeros((2, *sensor_size), np.int64)
        self.forget()

    def forget(self) -> None:
        """The next event begins a new sample, whatever its time."""
        self._latest: int | None = None
        self._ended: int | None = None
        self.begin()

    def begin(self) -> None:
        """The next event that isn't late begins a sample; the frame in progress is forgotten."""
        self._first: int | None = None
        self._frame, self._held = 0, 0
        self._grid[:] = 0

    def push(self, t: ArrayLike, x: ArrayLike, y: ArrayLike, p: ArrayLike) -> Iterator[Tensor]:
        """Frames [2, H, W], float32, that are over now; the caller may `begin` between them.

        Args:
            t: microseconds; in any order within a frame.
            x, y, p: columns, rows and polarities, as many.

        Raises:
            DataError: arrays that aren't whole numbers or not equally long.
        """
        self.ends = []
        columns = [_whole(name, values) for name, values in zip("txyp", (t, x, y, p), strict=True)]
        if len({len(column) for column in columns}) != 1:
            raise DataError(f"t, x, y and p have {', '.join(str(len(c)) for c in columns)} events")
        return self._frames(self._inside(columns))

    def rest(self) -> Tensor | None:
        """The frame in progress, as if it were over; None where it has no event."""
        return self._taken() if self._held else None

    def _inside(self, columns: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        _, x, y, p = columns
        height, width = self.sensor_size
        good = (x >= 0) & (x < width) & (y >= 0) & (y < height) & ((p == 0) | (p == 1))
        self.dropped.outside += int(len(good) - good.sum())
        return [column[good] for column in columns]

    def _frames(self, columns: list[NDArray[np.int64]]) -> Iterator[Tensor]:
        if self.by_time:
            columns = self._in_order(columns)
        t, at, count = columns[0], 0, len(columns[0])
        while at < count:
            if self._first is None:
                self._first = int(t[at])
            if self.by_time:
                until = int(np.searchsorted(t, self._first + self._start(self._frame + 1)))
            else:
                until = at + self._start(self._frame + 1) - self._start(self._frame) - self._held
            until = max(min(until, count), at)
            self._add([column[at:until] for column in columns[1:]])
            at = until
            over = at < count if self.by_time else self._full()
            if over:
                frame = self._taken()
                self.ends.append(int(t[max(at - 1, 0)]) if self._ended is None else self._ended)
                yield frame
                if self._frame >= self.options.num_steps:
                    self.begin()

    def _in_order(self, columns: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """By time, without those of frames that are over; a clock that began again is a sample's
        end."""
        t = columns[0]
        if not len(t):
            return columns
        if self._latest is not None and int(t.max()) < self._latest - RESTART:
            self.dropped.restarts += 1
            self.forget()
        order = np.argsort(t, kind="stable")
        columns = [column[order] for column in columns]
        since = self._since()
        late = 0 if since is None else int(np.searchsorted(columns[0], since))
        self.dropped.late += late
        if late < len(t):
            self._latest = max(int(columns[0][-1]), since or int(columns[0][-1]))
        return [column[late:] for column in columns]

    def _since(self) -> int | None:
        """Before this time everything is late."""
        if self._first is None:
            return self._ended
        return self._first + self._start(self._frame)

    def _start(self, frame: int) -> int:
        """Where a frame of a sample begins, in microseconds or events: ceil(k width)."""
        exact = frame * self._width
        return -(-exact.numerator // exact.denominator)

    def _full(self) -> bool:
        return self._held >= self._start(self._frame + 1) - self._start(self._frame)

    def _add(self, columns: list[NDArray[np.int64]]) -> None:
        x, y, p = columns
        np.add.at(self._grid, (p, y, x), 1)
        self._held += len(x)

    def _taken(self) -> Tensor:
        frame = torch.from_numpy(self._grid.astype(np.float32))
        size = self.options.size
        if size is not None and frame.shape[-2:] != (size, size):
            resize = resized if self.options.resize == "area" else resized_bilinearly
            frame = resize(frame[None, None], size, size)[0, 0]
        self._grid[:] = 0
        self._held = 0
        self._frame += 1
        if self.by_time and self._first is not None:
            self._ended = self._first + self._start(self._frame)
        return frame


def _width(
    options: DataOptions, extent: Extent | None, sample_ms: float | None, events: int | None
) -> Fraction:
    """Microseconds, or events, of a frame."""
    if options.frames == "duration":
        if sample_ms is not None or events is not None:
            raise DataError(
                f"the run's frames last {options.frame_ms} ms each (data.frames duration), "
                "whatever a sample's length"
            )
        assert options.frame_ms is not None
        return Fraction(round(options.frame_ms * 1_000_000_000), 1_000_000)
    given: Any = sample_ms if options.frames == "time" else events
    other = events if options.frames == "time" else sample_ms
    name, least = ("sample_ms", 0.001) if options.frames == "time" else ("sample_events", 1)
    if other is not None:
        raise DataError(f"the run's frames are by {options.frames}: give {name}")
    if given is None:
        if extent is None:
            raise DataError(f"the run doesn't say how long its recordings were: give {name}")
        middle = extent.microseconds if options.frames == "time" else extent.events
        return _part(max(sum(middle) // 2, 1), options)
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not number or not least * options.num_steps <= given <= 1e12:
        raise DataError(f"{name} must be in [{least * options.num_steps:g}, 1e12], got {given!r}")
    whole = round(given * 1000) if options.frames == "time" else int(given)
    return _part(whole, options)


def _part(whole: int, options: DataOptions) -> Fraction:
    """A T-th; of number, whole events."""
    if options.frames == "number":
        whole = max(whole - whole % options.num_steps, options.num_steps)
    return Fraction(whole, options.num_steps)


def _whole(name: str, values: ArrayLike) -> NDArray[np.int64]:
    try:
        array = np.atleast_1d(np.asarray(values))
    except ValueError as error:  # rows of unequal length
        raise DataError(f"{name} must be whole numbers in one row: {error}") from None
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise DataError(
            f"{name} must be whole numbers in one row, got {array.dtype} {[*array.shape]}"
        )
    if array.dtype.kind == "u" and array.size and int(array.max()) > _LATEST:
        raise DataError(f"{name} must be at most {_LATEST}, got {array.max()}")
    return array.astype(np.int64)
