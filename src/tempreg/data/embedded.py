"""The data that ships with the package: real, small, with licences in data/assets."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tempreg.data.base import SPLITS, ArraySplit, DataSet
from tempreg.data.events import Recordings
from tempreg.data.frames import frames_of
from tempreg.data.options import DataOptions
from tempreg.data.single import Reading
from tempreg.data.source import Source

FASHION_CLASSES = (
    "t-shirt/top", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
FASHION_MEAN, FASHION_STD = 0.2860, 0.3530
"""Of the 60,000 training images, grey values in 0 ... 1."""


def nmnist_recordings() -> tuple[Recordings, NDArray[np.uint8], NDArray[np.uint8]]:
    """All 1,100 N-MNIST recordings, their digits, and their part (an index into SPLITS)."""
    data = _asset("nmnist.npz")
    offsets = data["offsets"].astype(np.int64)
    steps = data["step_low"].astype(np.int64) + 256 * data["step_high"].astype(np.int64)
    elapsed = np.cumsum(steps)
    before = np.concatenate([[0], elapsed[offsets[1:-1] - 1]])
    recordings = Recordings(
        t=elapsed - np.repeat(before, np.diff(offsets)),
        x=data["x_polarity"] >> 1,
        y=data["y"],
        p=data["x_polarity"] & 1,
        offsets=offsets,
        sensor_size=(34, 34),
    )
    return recordings, data["labels"], data["part"]


class Embedded(Source):
    """Ships with the package, so nothing can be missing. Subclass it and define `load`."""

    instructions: ClassVar[str] = "Ships with tempreg."

    def missing(self, folder: Path) -> list[str]:
        """Nothing."""
        return []

    def check_size(self, options: DataOptions) -> None:
        """ValueError where another size or another place is asked for."""
        if options.size is not None:
            raise ValueError(f"{self.name} is used in its own size: leave data.size out (null)")
        self.check_path(options)

    def check_path(self, options: DataOptions) -> None:
        """ValueError where another place is asked for."""
        if options.path is not None:
            raise ValueError(f"{self.name} ships with tempreg: leave data.path out (null)")


class EmbeddedNMNIST(Embedded):
    """700 / 100 / 300 recordings as event counts [T, B, 2, 34, 34]. Final."""

    name: ClassVar[str] = "nmnist"
    title: ClassVar[str] = "N-MNIST, 1,100 recordings"
    kind: ClassVar[Literal["images", "events"]] = "events"
    licence: ClassVar[str] = "CC BY-SA 4.0 (Orchard et al. 2015)"

    def load(self, options: DataOptions) -> DataSet:
        """See `frames_of`."""
        self.check_path(options)
        recordings, labels, part = nmnist_recordings()
        values = frames_of(recordings, options)
        rows = [torch.from_numpy(np.flatnonzero(part == code)) for code in range(len(SPLITS))]
        targets = torch.from_numpy(labels)
        train, validation, test = (ArraySplit(values[r], targets[r]) for r in rows)
        size = (values.shape[-2], values.shape[-1])
        reading = Reading("events", 2, size, sensor_size=(34, 34))
        classes = tuple("0123456789")
        return DataSet(self.name, train, validation, test, classes, 2, size, reading)


class EmbeddedFashionMNIST(Embedded):
    """5,000 / 1,000 / 2,000 images [B, 1, 28, 28], standardised. Final."""

    name: ClassVar[str] = "fashion-mnist"
    title: ClassVar[str] = "Fashion-MNIST, 8,000 images"
    kind: ClassVar[Literal["images", "events"]] = "images"
    licence: ClassVar[str] = "MIT (Zalando SE)"

    def load(self, options: DataOptions) -> DataSet:
        """The images, with the official statistics."""
        self.check_size(options)
        data = _asset("fashion_mnist.npz")
        scale, offset = 1 / (255 * FASHION_STD), -FASHION_MEAN / FASHION_STD
        train, validation, test = (
            ArraySplit(
                torch.from_numpy(data[f"{name}_images"])[:, None],
                torch.from_numpy(data[f"{name}_labels"]),
                scale=scale,
                offset=offset,
            )
            for name in SPLITS
        )
        reading = Reading("images", 1, (28, 28), scale, offset)
        return DataSet(self.name, train, validation, test, FASHION_CLASSES, 1, (28, 28), reading)


def _asset(name: str) -> dict[str, NDArray[Any]]:
    with (
        as_file(files("tempreg.data") / "assets" / name) as path,
        np.load(path, allow_pickle=False) as arrays,
    ):
        return {key: arrays[key] for key in arrays.files}
