"""Frames on disk: written once, under a name that hashes content and settings, then mapped.

A file is a header of 4,096 bytes (a line of JSON) and the frames as they lie in memory. It is
written under a temporary name and renamed, so that several processes may write at once and a kill
leaves nothing half-written. The header holds a checksum of all frames, compared when the file is
opened: what is damaged is built again.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from tempreg.data.base import Split
from tempreg.data.errors import DataError
from tempreg.data.finishing import Finishing
from tempreg.data.frames.extent import Extent, extent_of
from tempreg.files import replacing

HEADER_BYTES = 4096
DTYPES = ("int16", "float32")
_PIECE = 2**24


@final
@dataclass(frozen=True)
class Chunk:
    """Frames [n, T, 2, H, W] of some recordings, how many events these have, and the frames.

    `extent` is how long and busy the recordings are.
    """

    frames: Tensor
    events: int
    kept: int
    extent: Extent | None = None


def cache_folder() -> Path:
    """$TEMPREG_CACHE_DIR/frames, else in $XDG_CACHE_HOME/tempreg or ~/.cache/tempreg."""
    if named := os.environ.get("TEMPREG_CACHE_DIR"):
        return Path(named).expanduser() / "frames"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "tempreg" / "frames"


@final
@dataclass(frozen=True)
class FrameFile:
    """Frames [N, T, 2, H, W] in a file; picklable, maps the file when first read.

    Attributes:
        path: the file.
        shape: of the frames.
        dtype: "int16" or "float32".
        events: how many events the recordings have, how many of them are in the frames.
        sensor_size: (H, W) of the recordings.
        extent: how long and busy they are.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: str
    events: tuple[int, int]
    sensor_size: tuple[int, int]
    extent: Extent | None = None

    def map(self) -> NDArray[Any]:
        """The frames, read when they are touched."""
        return np.memmap(self.path, self.dtype, "r", HEADER_BYTES, self.shape)


@final
class FrameSplit(Split):
    """Some of the frames in a file. Safe to send to other processes."""

    def __init__(self, frames: FrameFile, rows: NDArray[np.int64], targets: Tensor) -> None:
        self.frames, self.rows, self.targets = frames, rows, targets.long()
        self._map: NDArray[Any] | None = None

    finishing = Finishing()

    @override
    def inputs(self, indices: Tensor) -> Tensor:
        return self.finished(self.compact(indices))

    @override
    def compact(self, indices: Tensor, seed: int | None = None) -> Tensor:
        """Counts, in the bytes that they have in the file."""
        if self._map is None:
            self._map = self.frames.map()
        chosen = torch.from_numpy(np.asarray(self._map[self.rows[indices.numpy()]]))
        return chosen.movedim(1, 0).contiguous()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}


def cached(
    path: Path, count: int, build: Callable[[], tuple[tuple[int, int], Iterator[Chunk]]]
) -> FrameFile:
    """The frames at `path`, written there first if they aren't, or aren't whole.

    Args:
        path: under `cache_folder()`.
        count: of the recordings.
        build: gives the sensor's (H, W) and the frames, all of one dtype; asked only where `path`
            can't be used.

    Raises:
        DataError: the file can't be written, for example because the disk is full.
    """
    if (found := opened(path)) is not None:
        return found
    sensor_size, chunks = build()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            return _write(temporary, path, count, sensor_size, chunks)
    except OSError as error:
        raise unwritable(path.parent, error) from None


def unwritable(folder: Path, error: OSError) -> DataError:
    """What to say where the cache can't be written."""
    return DataError(
        f"frames can't be kept in {folder} ({error.strerror or error}): make room, name "
        "another folder in the environment variable TEMPREG_CACHE_DIR, or set data.cache false"
    )


def _write(
    target: Path, path: Path, count: int, sensor_size: tuple[int, int], chunks: Iterator[Chunk]
) -> FrameFile:
    """Into `target`, which will be `path`."""
    shape, dtype = (count,), "int16"
    checksum = rows = events = kept = 0
    extent: Extent | None = None
    with target.open("wb") as file:
        file.write(bytes(HEADER_BYTES))
        for chunk in chunks:
            values = np.ascontiguousarray(chunk.frames.numpy())
            shape, dtype, rows = (count, *values.shape[1:]), str(values.dtype), rows + len(values)
            events, kept = events + chunk.events, kept + chunk.kept
            extent = Extent.over((extent, chunk.extent))
            file.write(values.data)
            checksum = zlib.crc32(values.data, checksum)
        assert rows == count
        held: dict[str, Any] = {"shape": shape, "dtype": dtype, "events": (events, kept)}
        held["extent"] = None if extent is None else asdict(extent)
        line = json.dumps({**held, "sensor_size": sensor_size, "checksum": checksum}).encode()
        file.seek(0)
        file.write(line.ljust(HEADER_BYTES, b" "))
    return FrameFile(path, shape, dtype, (events, kept), sensor_size, extent)


def opened(path: Path) -> FrameFile | None:
    """The frames at `path`, or None where there are none or they are damaged."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(HEADER_BYTES))
            checksum = 0
            while piece := file.read(_PIECE):
                checksum = zlib.crc32(piece, checksum)
            size = file.tell() - HEADER_BYTES
        shape = tuple(map(int, header["shape"]))
        (events, kept), (height, width) = header["events"], header["sensor_size"]
        if header["dtype"] not in DTYPES or checksum != header["checksum"]:
            return None
        if size != int(np.prod(shape)) * np.dtype(header["dtype"]).itemsize:
            return None
        extent = None if header["extent"] is None else extent_of(header["extent"])
        return FrameFile(path, shape, header["dtype"], (events, kept), (height, width), extent)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
