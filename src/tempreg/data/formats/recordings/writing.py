"""A recording as a file: `.npz`, with names, units and types that every version reads."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings.recording import Recording, checked
from tempreg.files import replacing


def write_recording(path: str | PathLike[str], recording: Recording) -> None:
    """Replace a `.npz` file, which `read_recording` reads back as it was.

    It holds `t` (int64, microseconds), `x` and `y` (uint16, column and row from the upper left, 0
    and up), `p` (uint8, 1 for ON and 0 for OFF), each [N], and where the recording has it
    `sensor_size` (int64, [2]: height, width). It is compressed; equal recordings give equal bytes.

    Raises:
        DataError: another suffix than `.npz`, or the first event that can't be.
        OSError: the file can't be written; nothing half-written stays.
    """
    target = Path(path)
    if target.suffix.lower() != ".npz":
        raise DataError(f"{target}: recordings are written as .npz: give the name that ending")
    columns = columns_of(target, recording)
    with replacing(target) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **columns)


def columns_of(path: Path, recording: Recording) -> dict[str, Any]:
    """What a file holds of a recording, by name; DataError, which names `path`, as above."""
    held = checked(path, recording.t, recording.x, recording.y, recording.p, recording.sensor_size)
    columns: dict[str, Any] = {
        "t": held.t,
        "x": held.x.astype(np.uint16),
        "y": held.y.astype(np.uint16),
        "p": held.p.astype(np.uint8),
    }
    if held.sensor_size is not None:
        columns["sensor_size"] = np.array(held.sensor_size, dtype=np.int64)
    return columns
