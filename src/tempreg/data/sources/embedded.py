"""The data that ships with the package: real, small, with licences in data/assets."""

from __future__ import annotations

from abc import abstractmethod
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from tempreg.data.base import SPLITS, ArraySplit, DataSet
from tempreg.data.frames.extent import Extent
from tempreg.data.frames.frames import frames_of
from tempreg.data.frames.recordings import Recordings
from tempreg.data.reading import Reading
from tempreg.data.source import Source
from tempreg.data.sources.arrays import Statistics, as_asked, check_images
from tempreg.options import DataOptions

FASHION_CLASSES = (
    "t-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
FASHION_MEAN, FASHION_STD = 0.2860, 0.3530
"""Of the 60,000 training images, grey values in 0 ... 1."""
Labels = NDArray[np.uint8] | NDArray[np.int64]


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


def fashion_images(split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images [N, 28, 28] of Fashion-MNIST, grey values 0 ... 255, and labels [N] of a split."""
    data = _asset("fashion_mnist.npz")
    return data[f"{split}_images"], data[f"{split}_labels"]


class Embedded(Source):
    """Ships with the package, so nothing can be missing. Subclass it and define `load`."""

    instructions: ClassVar[str] = "Ships with tempreg."

    def missing(self, folder: Path) -> list[str]:
        """Nothing."""
        return []

    def check_options(self, options: DataOptions) -> None:
        """ValueError where another size or another place is asked for."""
        if options.size is not None:
            raise ValueError(f"{self.name} is used in its own size: leave data.size out (null)")
        check_images(options)
        self.check_path(options)

    def check_path(self, options: DataOptions) -> None:
        """ValueError where another place is asked for."""
        if options.path is not None:
            raise ValueError(f"{self.name} ships with tempreg: leave data.path out (null)")


class Digits(Embedded):
    """N-MNIST's recordings. Subclass it and define `load`."""

    kind: ClassVar[Literal["images", "events"]] = "events"
    licence: ClassVar[str] = "CC BY-SA 4.0 (Orchard et al. 2015)"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")


class Garments(Embedded):
    """Fashion-MNIST's images, standardised. Subclass it and define `shown`."""

    kind: ClassVar[Literal["images", "events"]] = "images"
    licence: ClassVar[str] = "MIT (Zalando SE)"
    classes: ClassVar[tuple[str, ...]] = FASHION_CLASSES

    @abstractmethod
    def shown(
        self, images: NDArray[np.uint8], labels: Labels, code: int, options: DataOptions
    ) -> tuple[Tensor, Labels]:
        """What a network sees of a split, [N, 1, 28, 28] or [N, T, 1, 28, 28], and its labels.

        Grey values are 0 ... 255; `code` is the split's index in SPLITS.
        """

    def reading(self, scale: float, offset: float) -> Reading | None:
        """How a file becomes one more sample; by default there is no such way."""

    @override
    def load(self, options: DataOptions) -> DataSet:
        self.check_options(options)
        statistics = as_asked(Statistics((FASHION_MEAN,), (FASHION_STD,)), options, 1)
        scale, offset = statistics.scale[0], statistics.offset[0]
        splits = []
        for code, split in enumerate(SPLITS):
            values, labels = self.shown(*fashion_images(split), code, options)
            splits.append(ArraySplit(values, torch.from_numpy(labels), scale=scale, offset=offset))
        train, validation, test = splits
        reading = self.reading(scale, offset)
        return DataSet(self.name, train, validation, test, self.classes, 1, (28, 28), reading)


@final
class EmbeddedNMNIST(Digits):
    """700 / 100 / 300 recordings as event counts [T, B, 2, 34, 34]."""

    name: ClassVar[str] = "nmnist"
    title: ClassVar[str] = "N-MNIST, 1,100 recordings"

    @override
    def load(self, options: DataOptions) -> DataSet:
        self.check_path(options)
        recordings, labels, part = nmnist_recordings()
        values = frames_of(recordings, options)
        rows = [torch.from_numpy(np.flatnonzero(part == code)) for code in range(len(SPLITS))]
        targets = torch.from_numpy(labels)
        train, validation, test = (ArraySplit(values[r], targets[r]) for r in rows)
        size = (values.shape[-2], values.shape[-1])
        extent = Extent.of(recordings)
        reading = Reading("events", 2, size, sensor_size=(34, 34), extent=extent)
        return DataSet(self.name, train, validation, test, self.classes, 2, size, reading)


@final
class EmbeddedFashionMNIST(Garments):
    """5,000 / 1,000 / 2,000 images [B, 1, 28, 28], standardised."""

    name: ClassVar[str] = "fashion-mnist"
    title: ClassVar[str] = "Fashion-MNIST, 8,000 images"

    @override
    def shown(
        self, images: NDArray[np.uint8], labels: Labels, code: int, options: DataOptions
    ) -> tuple[Tensor, Labels]:
        return torch.from_numpy(images)[:, None], labels

    @override
    def reading(self, scale: float, offset: float) -> Reading:
        return Reading("images", 1, (28, 28), scale, offset)


def _asset(name: str) -> dict[str, NDArray[Any]]:
    with (
        as_file(files("tempreg.data") / "assets" / name) as path,
        np.load(path, allow_pickle=False) as arrays,
    ):
        return {key: arrays[key] for key in arrays.files}
