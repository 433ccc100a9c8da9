"""One file of a user's, read as the data of a run was: for predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from tempreg.data.base import LARGEST_SIDE, ArraySplit, DataSet, by_channel
from tempreg.data.event_files import READERS, read_recordings
from tempreg.data.frames import frames_of
from tempreg.data.options import DataOptions
from tempreg.data.source import DataError

RECORDING_SUFFIXES = tuple(READERS)


@dataclass(frozen=True)
class Reading:
    """How one sample of a data set is read from a file. Final.

    Attributes:
        kind: "images" or "events".
        in_channels: 1 turns images to grey, 3 to RGB; 2 for events.
        input_size: (H, W) that the network takes.
        scale, offset: x * scale + offset of pixel values 0 ... 255, one value or one a channel;
            of events 1 and 0.
        sensor_size: (H, W) of recordings, which become frames as `DataOptions` say.
        resized: images of other sizes are brought to the size, as in training.
    """

    kind: Literal["images", "events"]
    in_channels: int
    input_size: tuple[int, int]
    scale: float | Sequence[float] = 1.0
    offset: float | Sequence[float] = 0.0
    sensor_size: tuple[int, int] | None = None
    resized: bool = False

    def read(self, path: Path, options: DataOptions) -> Tensor:
        """float32 [1, C, H, W] of an image, [T, 1, 2, H, W] of a recording.

        Raises:
            DataError: the file can't be read, is of another kind, or of another size.
        """
        if not path.is_file():
            raise DataError(f"{path} is not a file")
        recording = path.suffix.lower() in RECORDING_SUFFIXES
        if self.kind == "events":
            if not recording:
                raise DataError(
                    f"{path}: this run was trained on recordings, which end in "
                    f"{', '.join(RECORDING_SUFFIXES)}"
                )
            return self._recording(path, options)
        if recording:
            raise DataError(f"{path}: this run was trained on images, and this is a recording")
        return self._image(path)

    def _image(self, path: Path) -> Tensor:
        from tempreg.data.images import decoded

        height, width = self.input_size
        pixels = decoded(path, self.in_channels, height if self.resized else None)
        if pixels.shape[:2] != (height, width):
            raise DataError(
                f"{path} has {pixels.shape[1]} x {pixels.shape[0]} pixels, and this run was "
                f"trained on {width} x {height}"
            )
        x = torch.from_numpy(pixels).float().permute(2, 0, 1)[None].contiguous()
        return x * by_channel(self.scale) + by_channel(self.offset)

    def _recording(self, path: Path, options: DataOptions) -> Tensor:
        recordings = read_recordings([path], self.sensor_size or self.input_size)
        try:
            frames = frames_of(recordings, options)
        except ValueError as error:
            raise DataError(f"{path}: {error}") from None
        return frames.float().movedim(1, 0).contiguous()


def describe(data: DataSet) -> dict[str, Any]:
    """What data.json holds of a data set."""
    return {
        "name": data.name,
        "classes": list(data.classes),
        "in_channels": data.in_channels,
        "input_size": list(data.input_size),
        "reading": None if data.reading is None else asdict(data.reading),
        "remarks": list(data.remarks),
    }


def described(values: dict[str, Any]) -> DataSet:
    """The data set that `describe` described, without samples.

    Raises:
        ValueError, KeyError, TypeError: values that `describe` doesn't give.
    """
    height, width = map(int, values["input_size"])
    reading = values["reading"]
    if reading is not None:
        sensor = reading.get("sensor_size")
        sizes = {"input_size": (height, width), "sensor_size": sensor and tuple(map(int, sensor))}
        reading = Reading(**{**reading, **sizes})
    channels = int(values["in_channels"])
    if not all(1 <= side <= LARGEST_SIDE for side in (channels, height, width)):
        raise ValueError(f"a sample has 1 ... {LARGEST_SIDE} channels, rows and columns each")
    none = ArraySplit(torch.empty(0, channels, height, width), torch.empty(0))
    classes = tuple(map(str, values["classes"]))
    return DataSet(values["name"], none, none, none, classes, channels, (height, width), reading)
