"""Event recordings as cameras and data sets store them: one reader a format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings.aedat import read_aedat
from tempreg.data.formats.recordings.aedat4 import read_aedat4
from tempreg.data.formats.recordings.arrays import read_mat, read_npy, read_npz
from tempreg.data.formats.recordings.binary import (
    bytes_40_bit,
    decoded_40_bit,
    read_40_bit,
    read_dat,
)
from tempreg.data.formats.recordings.evt import read_raw
from tempreg.data.formats.recordings.hdf5 import read_h5
from tempreg.data.formats.recordings.recording import Recording, common_size, widest
from tempreg.data.formats.recordings.text import read_csv
from tempreg.data.formats.recordings.writing import write_recording
from tempreg.data.frames.recordings import Recordings

__all__ = [
    "READERS",
    "Recording",
    "common_size",
    "joined",
    "read_recording",
    "read_recordings",
    "write_recording",
]

READERS: dict[str, Callable[[Path], Recording]] = {
    ".bin": read_40_bit,
    ".bs2": read_40_bit,
    ".aedat": read_aedat,
    ".aedat2": read_aedat,
    ".aedat4": read_aedat4,
    ".dat": read_dat,
    ".raw": read_raw,
    ".npy": read_npy,
    ".npz": read_npz,
    ".h5": read_h5,
    ".hdf5": read_h5,
    ".csv": read_csv,
    ".mat": read_mat,
}
"""By suffix, in lower case. Add a format with a function of a path and a line here."""


def read_recording(path: str | PathLike[str]) -> Recording:
    """The events of a file, by its suffix: one of `READERS`, in any case.

    Raises:
        DataError: an unknown suffix, a file that can't be read, is empty or damaged, or the first
            event that can't be.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: no reader for {path.suffix!r}: there are {', '.join(READERS)}")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty")
        return reader(path)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from None


def read_recordings(paths: Sequence[Path], sensor_size: tuple[int, int] | None) -> Recordings:
    """As `read_recording`, of many files; where they are 40-bit files, many times as fast.

    Args:
        paths: at least one.
        sensor_size: (H, W); None: as the files say, else just what their events need.

    Raises:
        DataError: also for the first event outside of `sensor_size`.
    """
    if all(READERS.get(path.suffix.lower()) is read_40_bit for path in paths):
        try:
            raws = [bytes_40_bit(path) for path in paths]
            if (columns := decoded_40_bit(b"".join(raws))) is not None:
                _, x, y, _ = columns
                size = sensor_size or (int(y.max()) + 1, int(x.max()) + 1)
                return Recordings(*columns, np.cumsum([0, *(len(r) // 5 for r in raws)]), size)
        except (OSError, ValueError):
            pass  # read one by one, the first at fault is named, or a counter that wrapped is set
    return joined([read_recording(path) for path in paths], paths, sensor_size)


def joined(
    recordings: Sequence[Recording], paths: Sequence[Path], sensor_size: tuple[int, int] | None
) -> Recordings:
    """The recordings, which are from `paths`, one after another; see `read_recordings`."""
    if sensor_size is not None:
        for recording, path in zip(recordings, paths, strict=True):
            recording.check_size(path, sensor_size)
    size, stated = widest([recording.known_size for recording in recordings])
    t, x, y, p = (np.concatenate([getattr(r, name) for r in recordings]) for name in "txyp")
    offsets = np.cumsum([0, *(len(recording.t) for recording in recordings)])
    return Recordings(t, x, y, p, offsets, sensor_size or size, stated)
