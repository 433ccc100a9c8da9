"""The Heidelberg spiking data sets' HDF5: spikes of 700 cochlea channels, utterance by utterance.

spikes/times [N]   seconds, not decreasing, floats, of each utterance as many as it has spikes
spikes/units [N]   channels, 0 ... 699
labels [N]         class indices
extra/speaker [N]  who speaks
extra/keys         the names of the classes
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tempreg.data.errors import DataError
from tempreg.data.formats.hdf5_heaps import damaged_heaps
from tempreg.data.formats.hdf5_links import DAMAGED, elsewhere
from tempreg.data.frames.recordings import Recordings
from tempreg.errors import to_install

UNITS = 700
_AT_ONCE = 256
_MOST_SPEAKERS = 1_000_000_000
_MOST_UTTERANCES = 10_000_000
"""A hundred times as many as SSC has; a file of a few bytes can claim any number."""


@final
@dataclass(frozen=True)
class Spoken:
    """What a file says of its utterances beside their spikes.

    Attributes:
        path: the file.
        labels: class indices, int64 [N].
        speakers: int64 [N], -1 where the file doesn't say.
        keys: the names of the classes, where the file has them.
    """

    path: Path
    labels: NDArray[np.int64]
    speakers: NDArray[np.int64]
    keys: tuple[str, ...] = ()


def read_spoken(path: Path) -> Spoken:
    """Labels and speakers; DataError for a file that is damaged or of another layout."""
    with _opened(path) as file:
        labels = _numbers(path, file, "labels")
        speakers = np.full(len(labels), -1, dtype=np.int64)
        if "extra/speaker" in file:
            speakers = _numbers(path, file, "extra/speaker")
        for name, kinds in (("spikes/times", ("f",)), ("spikes/units", ("i", "u"))):
            held = _dataset(file, name)
            if held is None or held.shape != labels.shape or _kind_of_rows(held) not in kinds:
                raise DataError(
                    f"{path} has no {name} of its {len(labels)} labels, a row of numbers each, as "
                    "SHD's and SSC's files do"
                )
        if len(speakers) != len(labels) or not len(labels) or labels.min() < 0:
            raise DataError(
                f"{path}: labels and extra/speaker must be as many as utterances, and labels >= 0"
            )
        if speakers.min() < -1 or speakers.max() >= _MOST_SPEAKERS:
            raise DataError(
                f"{path}: extra/speaker must be numbers in 0 ... {_MOST_SPEAKERS - 1:,}, or -1 "
                "where it isn't known"
            )
        keys = _keys(path, file)
    return Spoken(path, labels, speakers, keys)


def spoken_recordings(path: Path, units: int) -> Iterator[Recordings]:
    """All utterances in order, some at a time, with `units` channels of neighbours each.

    Recordings of the size (1, units), all events of polarity 1; t in microseconds.

    Raises:
        DataError: spikes that can't be: which utterance, and why.
    """
    with _opened(path) as file:
        count = len(file["labels"])
        for begin in range(0, count, _AT_ONCE):
            part = slice(begin, min(count, begin + _AT_ONCE))
            times, channels = file["spikes/times"][part], file["spikes/units"][part]
            pairs = list(zip(times, channels, strict=True))
            for index, (t, x) in enumerate(pairs, begin):
                _check(path, index, t, x)
            yield _flat([t for t, _ in pairs], [x for _, x in pairs], units)


def _flat(times: list[Any], channels: list[Any], units: int) -> Recordings:
    offsets = np.concatenate([[0], np.cumsum([len(t) for t in times])]).astype(np.int64)
    t = np.concatenate([np.round(np.asarray(t, np.float64) * 1e6) for t in times]).astype(np.int64)
    x = np.concatenate([np.asarray(x, np.int64) for x in channels]) * units // UNITS
    return Recordings(t, x, np.zeros_like(x), np.ones_like(x), offsets, (1, units))


def _check(path: Path, index: int, t: Any, x: Any) -> None:
    where = f"{path}, utterance {index}"
    t, x = np.asarray(t, np.float64), np.asarray(x)
    if len(t) != len(x) or not len(t):
        raise DataError(f"{where}: {len(t)} times but {len(x)} units; each spike has both")
    if not (np.isfinite(t).all() and t[0] >= 0 and (np.diff(t) >= 0).all() and t[-1] < 1e6):
        raise DataError(f"{where}: times must be finite seconds, >= 0, and not fall")
    if not np.issubdtype(x.dtype, np.integer) or x.min() < 0 or x.max() >= UNITS:
        raise DataError(f"{where}: units must be whole numbers in 0 ... {UNITS - 1}")


def _dataset(file: Any, name: str) -> Any:
    """What stands there, None where it is no data set."""
    import h5py

    held = file.get(name)
    return held if isinstance(held, h5py.Dataset) else None


def _kind_of_rows(held: Any) -> str:
    """The kind of the numbers, as numpy names it, where each entry is a row of them; else "?"."""
    import h5py

    found = h5py.check_vlen_dtype(held.dtype)  # of text it is the type str
    return found.kind if isinstance(found, np.dtype) else "?"


def _numbers(path: Path, file: Any, name: str) -> NDArray[np.int64]:
    held = _dataset(file, name)
    if held is None or held.ndim != 1 or held.dtype.kind not in "iu":
        raise DataError(f"{path} has no whole numbers {name}, as SHD's and SSC's files do")
    _refuse_many(path, name, held)
    return np.asarray(held[()], dtype=np.int64)


def _refuse_many(path: Path, name: str, held: Any) -> None:
    if held.size * max(held.dtype.itemsize, 8) > 8 * _MOST_UTTERANCES:
        raise DataError(
            f"{path}, {name}: declares {held.size:,} values of {held.dtype.itemsize} bytes, more "
            "than can be read"
        )


def _keys(path: Path, file: Any) -> tuple[str, ...]:
    """The names of the classes, none where the file doesn't say."""
    if "extra/keys" not in file:
        return ()
    held = _dataset(file, "extra/keys")
    if held is None or held.ndim != 1 or held.dtype.kind not in "SO":
        raise DataError(f"{path}: extra/keys must be a list of text, the names of the classes")
    _refuse_many(path, "extra/keys", held)
    text = (k.decode("utf-8", "replace") if isinstance(k, bytes) else str(k) for k in held[()])
    keys = tuple(text)
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise DataError(f"{path} has {twice[0]!r} twice in extra/keys, the names of the classes")
    return keys


@final
class _Opened:
    """An HDF5 file in a `with` statement; whatever h5py raises in it is a DataError."""

    def __init__(self, path: Path, file: Any) -> None:
        self.path, self.file = path, file

    def __enter__(self) -> Any:
        return self.file

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.file.close()
        if isinstance(error, DAMAGED) and not isinstance(error, DataError):
            raise DataError(f"{self.path} is an HDF5 file, but a damaged one: {error}") from None


def _opened(path: Path) -> _Opened:
    try:
        import h5py
    except ModuleNotFoundError:
        raise DataError(f"{path} needs h5py: {to_install('events')}") from None
    try:
        file = h5py.File(path, "r")
        told, damaged = elsewhere(file), damaged_heaps(file)
    except DAMAGED as error:
        raise DataError(f"{path} is no HDF5 file, or a damaged one: {error}") from None
    if told is not None:
        file.close()
        raise DataError(f"{path}: {told}")
    if damaged is not None:
        file.close()
        raise DataError(f"{path} is an HDF5 file, but a damaged one: {damaged}")
    return _Opened(path, file)
