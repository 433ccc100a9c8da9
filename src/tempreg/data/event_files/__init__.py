"""Event recordings as cameras and data sets store them: one reader a format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tempreg.data.event_files.aedat import read_aedat
from tempreg.data.event_files.arrays import read_csv, read_h5, read_mat, read_npy, read_npz
from tempreg.data.event_files.binary import read_40_bit, read_dat
from tempreg.data.event_files.foreign import read_aedat4, read_raw
from tempreg.data.event_files.recording import Recording, guessed_size
from tempreg.data.source import DataError

__all__ = ["READERS", "Recording", "guessed_size", "read_recording"]

READERS: dict[str, Callable[[Path], Recording]] = {
    ".bin": read_40_bit,
    ".bs2": read_40_bit,
    ".aedat": read_aedat,
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


def read_recording(path: Path) -> Recording:
    """The events of a file, by its suffix.

    Raises:
        DataError: an unknown suffix, a file that can't be read, is empty or damaged, or the first
            event that can't be.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: no reader for {path.suffix!r}: there are {', '.join(READERS)}")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty")
        return reader(path)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from None
