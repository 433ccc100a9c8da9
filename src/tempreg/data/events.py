"""Event-camera recordings and how they become frames.

An event is (t, x, y, p): microseconds, column, row, polarity 0 (OFF) or 1 (ON). Many
recordings are kept flat: recording i is the slice offsets[i]:offsets[i+1] of each array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BINNINGS = ("time", "count", "duration")
_EVENTS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Recordings:
    """N recordings of one sensor, flat. Final.

    Attributes:
        t: int64 microseconds, not decreasing within a recording.
        x, y: column < W and row < H.
        p: polarity, 0 or 1.
        offsets: int64 [N + 1], from 0 to the number of events.
        sensor_size: (H, W).
    """

    t: NDArray[np.int64]
    x: NDArray[Any]
    y: NDArray[Any]
    p: NDArray[Any]
    offsets: NDArray[np.int64]
    sensor_size: tuple[int, int]

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
        height, width = self.sensor_size
        for name, values, limit in (("x", self.x, width), ("y", self.y, height), ("p", self.p, 2)):
            self._require((values >= 0) & (values < limit), f"{name} outside 0 ... {limit - 1}")
        rising = np.diff(self.t, prepend=self.t[:1]) >= 0
        rising[offsets[:-1][offsets[:-1] < events]] = True
        self._require(rising, "a time before that of the event before it")

    def _require(self, fine: NDArray[np.bool_], fault: str) -> None:
        if not fine.all():
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
    recordings: Recordings, num_steps: int, by: str = "time", frame_ms: float | None = None
) -> Tensor:
    """Event counts for each timestep, polarity and pixel; every event is counted once.

    With "duration", events after num_steps * frame_ms are left out.

    Args:
        recordings: N of them; one without events gives zeros.
        num_steps: T >= 1.
        by: "time" cuts each recording into T spans of equal length from its first to its last
            event; "count" into T runs of equally many events (to one);
            "duration" into spans of frame_ms from its first event on.
        frame_ms: milliseconds a frame with "duration", > 0; else ignored.

    Returns:
        int16 [N, T, 2, H, W]; ON is channel 1.

    Raises:
        ValueError: num_steps < 1, an unknown `by`, or over 32,767 events in one cell.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be >= 1, got {num_steps}")
    if by not in BINNINGS:
        raise ValueError(f"unknown binning {by!r}: choose one of {', '.join(BINNINGS)}")
    if by == "duration" and not (frame_ms is not None and 0.001 <= frame_ms < 1e12):
        raise ValueError(f"duration needs frame_ms of at least 0.001, got {frame_ms}")
    height, width = recordings.sensor_size
    shape = (num_steps, 2, height, width)
    frames = torch.empty((len(recordings), *shape), dtype=torch.int16)
    for first, last in _groups(recordings.offsets):
        part = recordings[first:last]
        sizes = np.diff(part.offsets)
        sample = np.repeat(np.arange(len(part)), sizes)
        if by == "time":
            step = _by_time(part, sizes, num_steps)
        elif by == "count":
            step = _by_count(sizes, num_steps)
        else:
            step = _by_duration(part, sizes, num_steps, frame_ms or 0.0)
        cell = ((sample * num_steps + step) * 2 + part.p) * height + part.y
        cell = cell * width + part.x
        if by == "duration":
            cell = cell[step < num_steps]
        counts = np.bincount(cell, minlength=len(part) * int(np.prod(shape)))
        if counts.size and counts.max() > np.iinfo(np.int16).max:
            raise ValueError(
                f"one pixel has {counts.max()} events in one timestep, more than a frame can "
                "hold (32,767): use more timesteps"
            )
        frames[first:last] = torch.from_numpy(counts.astype(np.int16).reshape(-1, *shape))
    return frames


def _by_time(part: Recordings, sizes: NDArray[np.int64], num_steps: int) -> NDArray[np.int64]:
    """floor((t - t_first) T / (t_last - t_first + 1)), in whole numbers."""
    filled = np.flatnonzero(sizes)
    start, span = np.zeros(len(sizes), np.int64), np.ones(len(sizes), np.int64)
    start[filled] = part.t[part.offsets[filled]]
    span[filled] = part.t[part.offsets[filled + 1] - 1] - start[filled] + 1
    return (part.t - np.repeat(start, sizes)) * num_steps // np.repeat(span, sizes)


def _by_duration(
    part: Recordings, sizes: NDArray[np.int64], num_steps: int, frame_ms: float
) -> NDArray[np.int64]:
    """floor((t - t_first) / frame_ms), num_steps where that is beyond the last frame."""
    filled = np.flatnonzero(sizes)
    start = np.zeros(len(sizes), np.int64)
    start[filled] = part.t[part.offsets[filled]]
    elapsed = part.t - np.repeat(start, sizes)
    return np.minimum(np.floor(elapsed / (frame_ms * 1000)), num_steps).astype(np.int64)


def _by_count(sizes: NDArray[np.int64], num_steps: int) -> NDArray[np.int64]:
    """floor(i T / n) for event i of a recording's n."""
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    index = np.arange(sizes.sum()) - first
    return index * num_steps // np.repeat(sizes, sizes)


def _groups(offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Runs of recordings of about `_EVENTS_AT_ONCE` events, which bounds the memory taken."""
    groups, first = [], 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + _EVENTS_AT_ONCE, side="right")) - 1
        groups.append((first, max(last, first + 1)))
        first = groups[-1][1]
    return groups
