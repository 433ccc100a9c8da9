"""Events as named columns: .npz, .npy, .h5, .csv and .mat."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tempreg.data.event_files.recording import MOST_BYTES, Recording, checked
from tempreg.data.mat_files import numeric_arrays
from tempreg.data.npy_header import Header
from tempreg.data.source import DataError
from tempreg.errors import warnings_about

_NAMES = {
    "t": ("t", "ts", "time", "timestamp"), "x": ("x",), "y": ("y",), "p": ("p", "pol", "polarity")
}  # fmt: skip


def from_columns(path: Path, columns: Mapping[str, Any]) -> Recording:
    """The recording in columns by name; a column may be [N], [N, 1] or [1, N]."""
    lower = {name.lower(): name for name in columns}
    found = {}
    for name, others in _NAMES.items():
        chosen = next((lower[other] for other in others if other in lower), None)
        if chosen is None:
            raise DataError(
                f"{path} has no column {name}: it holds {', '.join(columns) or 'nothing'}"
            )
        values = np.asarray(columns[chosen])
        found[name] = values.reshape(-1) if values.ndim == 2 and 1 in values.shape else values
    return checked(path, found["t"], found["x"], found["y"], found["p"])


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
    """Arrays t, x, y, p, or a single array as in .npy."""
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
    return from_columns(path, columns)


def _npy(path: Path, file: IO[bytes], size: int) -> NDArray[Any]:
    """An array whose header is believed only where `size` bytes hold what it declares."""
    try:
        header = Header(file)
        if header.bytes > min(size, MOST_BYTES):
            raise ValueError(f"it declares {header.bytes} bytes but has {size}: it is truncated")
        return header.array(file)
    except ValueError as error:
        raise DataError(f"{path} is no NumPy array, or a damaged one: {error}") from None


def read_h5(path: Path) -> Recording:
    """Data sets events/t, x, y, p (or at the root), or one structured data set `events`."""
    try:
        import h5py
    except ModuleNotFoundError:
        raise DataError(f"{path} needs h5py: pip install 'tempreg[events]'") from None
    try:
        with h5py.File(path, "r") as file:
            held = file.get("events", file)
            if isinstance(held, h5py.Dataset):
                return from_array(path, _h5(path, held))
            return from_columns(
                path, {k: _h5(path, v) for k, v in held.items() if isinstance(v, h5py.Dataset)}
            )
    except (OSError, KeyError, RuntimeError) as error:
        raise DataError(f"{path} is no HDF5 file, or a damaged one: {error}") from None


def _h5(path: Path, held: Any) -> NDArray[Any]:
    if held.size is None or held.size * held.dtype.itemsize > MOST_BYTES:
        raise DataError(f"{path}, {held.name}: declares {held.size} values, more than can be read")
    return np.asarray(held[()])


def read_csv(path: Path) -> Recording:
    """Comma-separated; a first line with the names t, x, y, p in any order, else t, x, y, p."""
    try:
        with path.open(encoding="utf-8") as file:
            first = [word.strip().lower() for word in file.readline().split(",")]
            named = any(word.isidentifier() for word in first)
            if not named:
                file.seek(0)
            numbers = np.loadtxt(file, delimiter=",", ndmin=2) if _more(file) else None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, byte {error.start}: not a text") from None
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    names = first if named else ["t", "x", "y", "p"]
    if numbers is None:
        numbers = np.empty((0, len(names)))
    if numbers.shape[1] != len(names):
        raise DataError(f"{path} has {numbers.shape[1]} columns: expected {', '.join(names)}")
    return from_columns(path, dict(zip(names, numbers.T, strict=True)))


def _more(file: IO[str]) -> bool:
    """Whether anything but blanks follows."""
    here = file.tell()
    found = any(line.strip() for line in iter(file.readline, ""))
    file.seek(here)
    return found


def read_mat(path: Path) -> Recording:
    """MATLAB up to 7.2: columns t, x, y, p by name, or one array of them, [N, 4] or [N, 6].

    Six columns are what dat2mat.m of the IMSE-CNM made of CIFAR10-DVS for published preprocessing
    (github.com/brain-intelligence-lab/temporal_efficient_training): t, 0, -1, x, y, p, where y
    counts from below, other than in the .aedat file as it is read here. It is left so.
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
        ValueError, TypeError, LookupError, OverflowError, OSError, EOFError, MemoryError,
        zlib.error,
    ) as error:  # fmt: skip
        raise DataError(f"{path} is no MATLAB file, or a damaged one: {error}") from None
    if len(held) != 1:
        return from_columns(path, held)
    events = next(iter(held.values()))
    if events.ndim == 2 and events.shape[1] == 6:
        events = events[:, [0, 3, 4, 5]]
    return from_array(path, events)
