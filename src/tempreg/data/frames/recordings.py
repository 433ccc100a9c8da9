"""Event-camera recordings and how they become frames.

An event is (t, x, y, p): microseconds, column, row, polarity 0 (OFF) or 1 (ON). Many
recordings are kept flat: recording i is the slice offsets[i]:offsets[i+1] of each array.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tempreg.options.data import Binning, DataOptions
from tempreg.options.field import check_option

_EVENTS_AT_ONCE = 25_000
"""Few enough for a processor's cache."""


@final
@dataclass(frozen=True)
class Recordings:
    """N recordings of one sensor, flat.

    Attributes:
        t: microseconds, not decreasing within a recording.
        x, y: column < W and row < H.
        p: polarity, 0 or 1.
        offsets: int64 [N + 1], from 0 to the number of events.
        sensor_size: (H, W).
        stated: whether files say that size, where it is not what was asked for.

    The arrays hold whole numbers; small types make small work.
    """

    t: NDArray[Any]
    x: NDArray[Any]
    y: NDArray[Any]
    p: NDArray[Any]
    offsets: NDArray[np.int64]
    sensor_size: tuple[int, int]
    stated: bool = False

    def __post_init__(self) -> None:
        """ValueError names the first event that isn't what it must be."""
        events, offsets = len(self.t), self.offsets
        if not len(self.x) == len(self.y) == len(self.p) == events:
            raise ValueError("t, x, y and p must be equally long")
        if (
            len(offsets) < 1
            or offsets[0] != 0
            or offsets[-1] != events
            or np.any(np.diff(offsets) < 0)
        ):
            raise ValueError(f"offsets must rise from 0 to the number of events, {events}")
        if events == 0:
            return
        height, width = self.sensor_size
        for name, values, limit in (("x", self.x, width), ("y", self.y, height), ("p", self.p, 2)):
            if values.min() < 0 or values.max() >= limit:
                fine = (values >= 0) & (values < limit)
                self._refuse(fine, f"{name} outside 0 ... {limit - 1}")
        rising = np.ones(events, np.bool_)
        np.greater_equal(self.t[1:], self.t[:-1], out=rising[1:])
        rising[offsets[:-1][offsets[:-1] < events]] = True
        if not rising.all():
            self._refuse(rising, "a time before that of the event before it")

    def _refuse(self, fine: NDArray[np.bool_], fault: str) -> None:
        event = int(np.argmin(fine))
        recording = int(np.searchsorted(self.offsets, event, side="right")) - 1
        raise ValueError(
            f"event {event - self.offsets[recording]} of recording {recording} has {fault}"
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, part: slice) -> Recordings:
        """A run of recordings: recordings[i:j]."""
        first, last, _ = part.indices(len(self))
        offsets = self.offsets[first : last + 1]
        events = slice(offsets[0], offsets[-1])
        return Recordings(
            self.t[events],
            self.x[events],
            self.y[events],
            self.p[events],
            offsets - offsets[0],
            self.sensor_size,
        )


def events_to_frames(
    recordings: Recordings, num_steps: int, by: Binning = "time", frame_ms: float | None = None
) -> Tensor:
    """Event counts for each timestep, polarity and pixel; every event is counted once.

    With "duration", events after num_steps * frame_ms are left out; with "published", the last
    n mod num_steps of n events.

    Args:
        recordings: N of them; one without events gives zeros.
        num_steps: T >= 1.
        by: "time" cuts each recording into T spans of equal length from its first to its last
            event; "count" into T runs of equally many events (to one); "number" into runs of
            floor(n / T), the remainder in the last (SpikingJelly's split_by="number");
            "published" likewise, the remainder left out (what else the paper's scripts do:
            `tempreg.data.frames.published`); "duration" into spans of frame_ms from its first event
            on, to 1e-6 microseconds.
        frame_ms: milliseconds a frame with "duration", >= 0.001; else ignored.

    Returns:
        int16 [N, T, 2, H, W]; ON is channel 1.

    Raises:
        ValueError: num_steps < 1, an unknown `by`, or over 32,767 events in one cell.
    """
    bounds = frame_bounds(recordings, num_steps, by, frame_ms)
    height, width = recordings.sensor_size
    pixels = height * width
    frames = np.zeros((len(recordings), num_steps, 2, height, width), np.int16)
    most = np.iinfo(np.int16).max
    for first, last in _groups(recordings.offsets):
        sizes = np.diff(bounds[first:last]).ravel()
        x, y, p = _inside(recordings, bounds[first:last])
        begins = np.arange(len(sizes)) * 2 * pixels
        cell = np.repeat(begins.astype(_index_type(len(sizes) * 2 * pixels)), sizes)
        cell += np.multiply(p, pixels, dtype=cell.dtype)
        cell += np.multiply(y, width, dtype=cell.dtype)
        cell += x.astype(cell.dtype, copy=False)
        if sizes.max() > most and (largest := np.unique(cell, return_counts=True)[1].max()) > most:
            raise ValueError(
                f"one pixel has {largest} events in one timestep, more than a frame can "
                "hold (32,767): use more timesteps"
            )
        np.add.at(frames[first:last].reshape(-1), cell, np.int16(1))
    return torch.from_numpy(frames)


def _inside(recordings: Recordings, bounds: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """x, y and p of the events that are in a frame."""
    starts, ends = bounds[:, 0], bounds[:, -1]
    for values in (recordings.x, recordings.y, recordings.p):
        if (starts[1:] == ends[:-1]).all():
            yield values[starts[0] : ends[-1]]
        else:
            yield np.concatenate([values[a:b] for a, b in zip(starts, ends, strict=True)])


def _index_type(length: int) -> type[np.signedinteger[Any]]:
    """The smaller the numbers, the less memory is touched."""
    return np.int32 if length < 2**31 else np.int64


def frame_bounds(
    recordings: Recordings, num_steps: int, by: Binning, frame_ms: float | None = None
) -> NDArray[np.int64]:
    """Which events are in which frame: those from bounds[i, k] up to bounds[i, k + 1].

    Args and ValueError: see `events_to_frames`.

    Returns:
        int64 [N, T + 1]; events from bounds[i, T] on are in no frame.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be >= 1, got {num_steps}")
    if by not in get_args(Binning):
        raise ValueError(f"unknown binning {by!r}: choose one of {', '.join(get_args(Binning))}")
    if by == "duration":
        if frame_ms is None:
            raise ValueError("duration needs frame_ms")
        check_option(DataOptions, "frame_ms", frame_ms)
    offsets, step = recordings.offsets, np.arange(num_steps + 1)
    if by == "count":
        # Event i of n is in frame floor(i T / n), so frame k begins at ceil(k n / T).
        return offsets[:-1, None] + -(-step * np.diff(offsets)[:, None] // num_steps)
    if by in ("number", "published"):
        whole: NDArray[np.int64] = offsets[:-1, None] + step * (
            np.diff(offsets)[:, None] // num_steps
        )
        if by == "number":
            whole[:, -1] = offsets[1:]
        return whole
    bounds = np.repeat(offsets[:-1, None], num_steps + 1, axis=1)
    for row, start, end in zip(bounds, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        if start == end:
            continue
        t = recordings.t[start:end]
        first, last = int(t[0]), int(t[-1])
        if by == "time":
            # t is in frame floor((t - first) T / (last - first + 1)).
            begin = -(-step * (last - first + 1) // num_steps)
        else:
            begin = np.ceil(step * round((frame_ms or 0.0) * 1000, 6))
        inside = begin <= last - first
        # In the type of t, for else all of t would be converted.
        row += np.where(inside, 0, end - start)
        row[inside] += np.searchsorted(t, (begin[inside] + first).astype(t.dtype))
    return bounds


def _groups(offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Runs of recordings of about `_EVENTS_AT_ONCE` events, which bound the memory taken."""
    groups, first = [], 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + _EVENTS_AT_ONCE, side="right")) - 1
        groups.append((first, max(last, first + 1)))
        first = groups[-1][1]
    return groups
