"""One recording as every reader returns it, checked event by event."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tempreg.data.errors import LARGEST_SIDE, DataError

MOST_BYTES = 4 * 2**30
"""A file that declares more than this for one array is refused before memory is taken."""
SENSORS = ((34, 34), (128, 128), (180, 240), (240, 304), (260, 346), (480, 640), (720, 1280))
"""Heights and widths of sensors in use, smallest first."""

Columns = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]
"""t, x, y, p."""
Known = tuple[tuple[int, int], bool]
"""(H, W), and whether a file states it; if not, it is what events need."""


@final
@dataclass(frozen=True)
class Recording:
    """Events of one file.

    Attributes:
        t: int64 microseconds, not decreasing.
        x, y: int64 columns and rows, >= 0.
        p: int64, 0 (OFF) or 1 (ON).
        sensor_size: (H, W) where the file says it, else None.
    """

    t: NDArray[np.int64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    p: NDArray[np.int64]
    sensor_size: tuple[int, int] | None = None

    @property
    def known_size(self) -> Known:
        """(H, W) as the file states it, else just what the events need."""
        needed = int(self.y.max(initial=0)) + 1, int(self.x.max(initial=0)) + 1
        return (needed, False) if self.sensor_size is None else (self.sensor_size, True)

    def check_size(self, path: Path, sensor_size: tuple[int, int]) -> None:
        """DataError, which names `path`, for the first event outside of `sensor_size` (H, W)."""
        for name, values, limit in zip("xy", (self.x, self.y), sensor_size[::-1], strict=True):
            refuse(path, values >= limit, name, values, f"outside 0 ... {limit - 1}")

    def between(self, start: int, end: int) -> Recording:
        """The events with start <= t < end, in microseconds."""
        first, last = np.searchsorted(self.t, (start, end))
        part = slice(first, last)
        return Recording(self.t[part], self.x[part], self.y[part], self.p[part], self.sensor_size)


def checked(
    path: Path,
    t: NDArray[Any],
    x: NDArray[Any],
    y: NDArray[Any],
    p: NDArray[Any],
    sensor_size: tuple[int, int] | None = None,
    counter_bits: int | None = None,
    begin: int = 0,
) -> Recording:
    """The recording, polarity -1 as 0, and a counter of `counter_bits` that wrapped set straight.

    A step back by more than half the counter's range is taken for a wrap; any other is refused.
    `begin` is added to all times.

    Raises:
        DataError: a sensor that can't be, arrays of unlike lengths, values that aren't whole
            numbers, or the first event whose place, polarity or time can't be.
    """
    columns = {"t": t, "x": x, "y": y, "p": p}
    if len({len(values) for values in columns.values()}) != 1 or t.ndim != 1:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in columns.items())
        raise DataError(f"{path}: t, x, y and p must be equally long columns, got {shapes}")
    whole = {name: _whole(path, name, values) for name, values in columns.items()}
    t, x, y, p = whole.values()
    height, width = sensor_size or (LARGEST_SIDE, LARGEST_SIDE)
    if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE):
        raise DataError(
            f"{path} claims a sensor of {width} x {height} pixels: 1 ... {LARGEST_SIDE} each"
        )
    for name, values, limit in (("x", x, width), ("y", y, height)):
        refuse(path, (values < 0) | (values >= limit), name, values, f"outside 0 ... {limit - 1}")
    refuse(path, (p != 0) & (p != 1) & (p != -1), "p", p, "which is not 0, 1 or -1")
    if counter_bits is not None:
        t = t + np.cumsum(np.diff(t, prepend=t[:1]) < -(2 ** (counter_bits - 1))) * 2**counter_bits
    refuse(path, np.diff(t, prepend=t[:1]) < 0, "t", t, "before the event before it")
    return Recording(t + begin, x, y, np.maximum(p, 0), sensor_size)


def refuse(path: Path, bad: NDArray[np.bool_], name: str, values: NDArray[Any], fault: str) -> None:
    """DataError for the first event marked in `bad`."""
    if bad.any():
        event = int(np.argmax(bad))
        raise DataError(f"{path}: event {event} has {name} = {values[event]}, {fault}")


def _whole(path: Path, name: str, values: NDArray[Any]) -> NDArray[np.int64]:
    if values.dtype.kind == "f":
        bad = ~np.isfinite(values) | (np.abs(values) >= 2**62)
        bad |= np.where(bad, 0, values) != np.trunc(np.where(bad, 0, values))
        fault = "not a whole number" + (": times are microseconds" if name == "t" else "")
        refuse(path, bad, name, values, fault)
    elif values.dtype.kind == "u" and values.dtype.itemsize == 8:
        refuse(path, values >= 2**62, name, values, "too large")
    elif values.dtype.kind not in "iub":
        raise DataError(f"{path}: {name} holds {values.dtype}, not numbers")
    return values.astype(np.int64)


def widest(sizes: Collection[Known]) -> Known:
    """What holds all of these sizes, of which there is at least one."""
    size = max(s[0] for s, _ in sizes), max(s[1] for s, _ in sizes)
    return size, (size, True) in sizes


def common_size(sizes: Collection[Known]) -> tuple[int, int]:
    """The sensor of several recordings: as they state, where that holds all; else a guess."""
    size, stated = widest(sizes)
    return size if stated else guessed_size(*size)


def guessed_size(height: int, width: int) -> tuple[int, int]:
    """The smallest sensor in use that has this many rows and columns, else just these."""
    return next((s for s in SENSORS if s[0] >= height and s[1] >= width), (height, width))
