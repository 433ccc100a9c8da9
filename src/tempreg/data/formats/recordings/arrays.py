"""Events as named columns, as NumPy and MATLAB store them: .npz, .npy and .mat."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tempreg.data.errors import DataError
from tempreg.data.formats.mat import numeric_arrays
from tempreg.data.formats.npy import Header
from tempreg.data.formats.recordings.recording import MOST_BYTES, Recording, checked
from tempreg.errors import warnings_about

NAMES = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "pol", "polarity", "polarities", "on", "is_increase"),
}
"""What the field's libraries call them: is_increase is Event Stream's, on faery's and aedat's."""


def chosen(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The names of the columns t, x, y and p among these.

    Raises:
        DataError: one isn't there.
    """
    names = list(names)
    lower = {name.lower(): name for name in names}
    found = {}
    for name, others in NAMES.items():
        if (word := next((other for other in others if other in lower), None)) is None:
            raise DataError(
                f"{path} has no column {name}: it holds {', '.join(names) or 'no columns'}"
            )
        found[name] = lower[word]
    return found


def from_columns(
    path: Path, columns: Mapping[str, Any], sensor_size: tuple[int, int] | None = None
) -> Recording:
    """The recording in columns by name; a column may be [N], [N, 1] or [1, N]."""
    found = {}
    for name, held in chosen(path, columns).items():
        values = np.asarray(columns[held])
        found[name] = values.reshape(-1) if values.ndim == 2 and 1 in values.shape else values
    return checked(path, found["t"], found["x"], found["y"], found["p"], sensor_size)


def from_array(path: Path, events: NDArray[Any]) -> Recording:
    """A structured array with the fields t, x, y, p, or [N, 4] in this order."""
    if events.dtype.names:
        return from_columns(path, {name: events[name] for name in events.dtype.names})
    if events.ndim != 2 or events.shape[1] != 4:
        raise DataError(f"{path} holds an array {events.shape}: it must be [N, 4], as t, x, y, p")
    return checked(path, *events.T)


def read_npy(path: Path) -> Recording:
    """A structured array or [N, 4]."""
    with path.open("rb") as file:
        return from_array(path, _npy(path, file, path.stat().st_size))


def read_npz(path: Path) -> Recording:
    """Arrays t, x, y, p and perhaps sensor_size [2] (height, width), or one array as in .npy."""
    try:
        with zipfile.ZipFile(path) as archive:
            columns = {}
            for member in archive.infolist():
                with archive.open(member) as file:
                    name = member.filename.removesuffix(".npy")
                    columns[name] = _npy(path, file, member.file_size)
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise DataError(f"{path} is no .npz archive, or a damaged one: {error}") from None
    if len(columns) == 1:
        return from_array(path, next(iter(columns.values())))
    return from_columns(path, columns, _sensor(path, columns.pop("sensor_size", None)))


def _sensor(path: Path, held: NDArray[Any] | None) -> tuple[int, int] | None:
    if held is None:
        return None
    if held.shape != (2,) or held.dtype.kind not in "iu":
        raise DataError(
            f"{path}: sensor_size must be two whole numbers, height and width, and is "
            f"{held.dtype} {list(held.shape)}"
        )
    return int(held[0]), int(held[1])


def _npy(path: Path, file: IO[bytes], size: int) -> NDArray[Any]:
    """An array whose header is believed only where `size` bytes hold what it declares."""
    try:
        header = Header(file)
        if header.bytes > min(size, MOST_BYTES):
            raise ValueError(f"it declares {header.bytes} bytes but has {size}: it is truncated")
        return header.array(file)
    except ValueError as error:
        raise DataError(f"{path} is no NumPy array, or a damaged one: {error}") from None


def read_mat(path: Path) -> Recording:
    """MATLAB up to 7.2: columns t, x, y, p by name, or one array of them, [N, 4] or [N, 6].

    Six columns are what dat2mat.m of the IMSE-CNM made of CIFAR10-DVS for published preprocessing
    (github.com/brain-intelligence-lab/temporal_efficient_training): t, 0, -1, x, y, p, where y
    counts a DVS128's rows from below. Here it counts from above, as in every other file.
    """
    from scipy.io import loadmat, whosmat

    try:
        names = numeric_arrays(path)
        with warnings_about(path):
            claimed = whosmat(path)
        for name, shape, _ in claimed:
            if 8 * math.prod(shape) > MOST_BYTES:
                raise DataError(f"{path} declares {shape} numbers in {name}: more than can be read")
        with warnings_about(path):
            found = loadmat(path, variable_names=names)
        held = {k: v for k, v in found.items() if not k.startswith("__")}
    except NotImplementedError:
        raise DataError(f"{path} is MATLAB 7.3: store it as version 7, or as .h5") from None
    except (
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
        OSError,
        EOFError,
        MemoryError,
        zlib.error,
    ) as error:
        raise DataError(f"{path} is no MATLAB file, or a damaged one: {error}") from None
    if not held:
        there = ", ".join(f"{name} ({kind})" for name, _, kind in claimed) or "nothing"
        raise DataError(
            f"{path} holds {there}, but events are read from arrays of numbers: save(file, "
            "'-struct', name) stores a structure's fields as such"
        )
    if len(held) != 1:
        return from_columns(path, held)
    events = next(iter(held.values()))
    if events.ndim == 2 and events.shape[1] == 6:
        t, x, below, p = events[:, [0, 3, 4, 5]].astype(np.float64).T
        return checked(path, t, x, 127 - below, p, (128, 128))
    return from_array(path, events)
