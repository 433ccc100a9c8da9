"""How one file becomes a sample, as the data of a run did: for predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import torch
from torch import Tensor

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings import READERS, read_recordings
from tempreg.data.frames.extent import Extent, seconds
from tempreg.data.frames.frames import frames_of
from tempreg.data.frames.recordings import Recordings
from tempreg.options import DataOptions

RECORDING_SUFFIXES = tuple(READERS)


@final
@dataclass(frozen=True)
class Reading:
    """How one sample of a data set is read from a file.

    Attributes:
        kind: "images" or "events".
        in_channels: 1 turns images to grey, 3 to RGB; 2 for events.
        input_size: (H, W) that the network takes.
        scale, offset: x * scale + offset of pixel values 0 ... 255, one value or one a channel;
            of events 1 and 0.
        sensor_size: (H, W) of recordings, which become frames as `DataOptions` say.
        resized: images of other sizes are brought to the size, as in training.
        shorter_side: of images, what the shorter side is brought to first; None: to the size.
        extent: how long and busy the data's recordings are; None: unknown.
    """

    kind: Literal["images", "events"]
    in_channels: int
    input_size: tuple[int, int]
    scale: float | Sequence[float] = 1.0
    offset: float | Sequence[float] = 0.0
    sensor_size: tuple[int, int] | None = None
    resized: bool = False
    shorter_side: int | None = None
    extent: Extent | None = None

    @property
    def suffixes(self) -> frozenset[str]:
        """What files of this kind end in, in lower case."""
        from tempreg.data.formats.images import IMAGE_SUFFIXES

        return frozenset(RECORDING_SUFFIXES) if self.kind == "events" else IMAGE_SUFFIXES

    def read(self, path: Path, options: DataOptions) -> Tensor:
        """float32 [1, C, H, W] of an image, [T, 1, 2, H, W] of a recording.

        Raises:
            DataError: the file can't be read, is of another kind, or of another size.
        """
        if self.kind == "events":
            return self.frames(self.recording(path), options, str(path))
        if not path.is_file():
            raise DataError(f"{path} is not a file")
        if path.suffix.lower() in RECORDING_SUFFIXES:
            raise DataError(f"{path}: this run was trained on images, and this is a recording")
        return self._image(path)

    def recording(self, path: Path) -> Recordings:
        """The one recording in a file.

        Raises:
            DataError: this is for images, the file can't be read, or it holds no event.
        """
        if self.kind != "events":
            raise DataError(f"{path}: this run was trained on images, which have no time")
        if not path.is_file():
            raise DataError(f"{path} is not a file")
        if path.suffix.lower() not in RECORDING_SUFFIXES:
            raise DataError(
                f"{path}: this run was trained on recordings, which end in "
                f"{', '.join(RECORDING_SUFFIXES)}"
            )
        recordings = read_recordings([path], self.sensor_size or self.input_size)
        if not len(recordings.t):
            raise DataError(f"{path} holds no event, so there is nothing to classify")
        return recordings

    def frames(self, recordings: Recordings, options: DataOptions, where: str) -> Tensor:
        """float32 [T, N, 2, H, W] of N recordings; DataError, which begins with `where`."""
        try:
            frames = frames_of(recordings, options)
        except ValueError as error:
            raise DataError(f"{where}: {error}") from None
        return frames.float().movedim(1, 0).contiguous()

    def doubts(self, recordings: Recordings, options: DataOptions) -> list[str]:
        """In which way one recording isn't like those that were trained on, in words."""
        one = Extent.of(recordings)
        if self.extent is None or one is None:
            return []
        found = self.extent.doubts(one)
        if options.frames == "duration" and options.frame_ms is not None:
            shown, lasts = options.num_steps * options.frame_ms * 1000, one.microseconds[0]
            if lasts > 2 * shown and lasts > self.extent.microseconds[1]:
                found.append(f"is looked at for its first {seconds(shown)} only")
        return found

    def _image(self, path: Path) -> Tensor:
        from tempreg.data.formats.images import decoded

        height, width = self.input_size
        size = height if self.resized else None
        pixels = decoded(path, self.in_channels, size, shorter_side=self.shorter_side)
        if pixels.shape[:2] != (height, width):
            raise DataError(
                f"{path} has {pixels.shape[1]} x {pixels.shape[0]} pixels, and this run was "
                f"trained on {width} x {height}"
            )
        x = torch.from_numpy(pixels).float().permute(2, 0, 1)[None].contiguous()
        return x * by_channel(self.scale) + by_channel(self.offset)


def by_channel(value: float | Sequence[float]) -> float | Tensor:
    """One value as it is; one a channel as float32 [C, 1, 1]."""
    if isinstance(value, Sequence):
        return torch.tensor(value, dtype=torch.float32)[:, None, None]
    return value
