"""Folders of image files: anyone's own, ImageNet, ImageNet-100 and Tiny-ImageNet.

Small sets are decoded once, into memory; large ones for each batch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tempreg.data.base import SPLITS, DataSet, Split, by_channel
from tempreg.data.folders import class_folders
from tempreg.data.images import IMAGE_SUFFIXES, decoded, header
from tempreg.data.options import DataOptions
from tempreg.data.single import Reading
from tempreg.data.source import DataError, Source
from tempreg.data.static.arrays import Images, Statistics, array_data_set, drawn_parts, measured

if TYPE_CHECKING:
    from tempreg.data.checks import Check

IN_MEMORY = 256 << 20
"""Sets of at most so many bytes of pixels are kept in memory."""
MEASURED = 2000
"""Of a larger set, so many training images, evenly spaced, give mean and deviation."""
IMAGENET = Statistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_PARTS = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}


class FileSplit(Split):
    """Image files that are decoded for each batch. Final.

    Args:
        files: one a sample.
        targets: class indices [N].
        channels, size: see `images.decoded`.
        statistics: the images are standardised by them.
    """

    def __init__(
        self,
        files: Sequence[Path],
        targets: Tensor,
        channels: int,
        size: int | None,
        statistics: Statistics,
    ) -> None:
        self.files, self.targets = list(files), targets.long()
        self.channels, self.size = channels, size
        self.scale, self.offset = by_channel(statistics.scale), by_channel(statistics.offset)
        self.blank = self.offset

    def inputs(self, indices: Tensor) -> Tensor:
        """See `Split`; DataError where a file is damaged."""
        files = [self.files[i] for i in indices.tolist()]
        pixels = np.stack([decoded(file, self.channels, self.size) for file in files])
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(torch.float32).contiguous()
        return x * self.scale + self.offset


class FileSource(Source):
    """Image files. Subclass it and define `parts`, `missing` and the class attributes.

    Attributes:
        channels: 1 or 3; None: 1 if all files are grey, else 3.
        size: where data.size isn't given; None: as the files are, which must be of one size.
        statistics: None: measured on the training part.
    """

    kind: ClassVar[Literal["images", "events"]] = "images"
    channels: ClassVar[int | None] = None
    size: ClassVar[int | None] = None
    statistics: ClassVar[Statistics | None] = None

    @abstractmethod
    def parts(self, folder: Path) -> dict[str, dict[str, list[Path]]]:
        """The files by part (of SPLITS) and class, classes and files in a fixed order."""

    def load(self, options: DataOptions) -> DataSet:
        """See `Source`; parts that aren't there are drawn from the training part."""
        return self._load(options, IN_MEMORY)

    def check(self, options: DataOptions) -> Check:
        """See `Source`; goes on after a damaged image."""
        from tempreg.data.checks import check_splits

        return check_splits(self._load(options, 0))

    def _load(self, options: DataOptions, in_memory: int) -> DataSet:
        folder = self.folder(options)
        if missing := self.missing(folder):
            raise DataError(f"{self.name} is not complete: {missing[0]}. {self.instructions}")
        found = self.parts(folder)
        classes = list(found["train"])
        for part, by_class in found.items():
            if unknown := [name for name in by_class if name not in found["train"]]:
                raise DataError(
                    f"{folder}: the {part} part has the class {unknown[0]}, and training has not"
                )
        files = {part: [f for c in by for f in by[c]] for part, by in found.items()}
        labels = {
            part: np.array([classes.index(c) for c in by for _ in by[c]], dtype=np.int64)
            for part, by in found.items()
        }
        size = options.size or self.size
        (height, width), channels = self._shape(files, size)
        everything = sum(map(len, files.values()))
        if everything * height * width * channels <= in_memory:
            images = {
                part: Images(_all(files[part], (height, width, channels), size), labels[part])
                for part in files
            }
            sized = replace(options, size=size)
            return array_data_set(self.name, images, classes, sized, self.statistics)
        rows = drawn_parts(labels, options)
        statistics = self.statistics
        if statistics is None:
            places = np.linspace(0, len(rows["train"]) - 1, min(MEASURED, len(rows["train"])))
            some = [files["train"][rows["train"][int(i)]] for i in places]
            statistics = measured(_all(some, (height, width, channels), size))
        splits = []
        for split in SPLITS:
            part = split if split in files else "train"
            chosen = [files[part][row] for row in rows[split]]
            targets = torch.from_numpy(labels[part][rows[split]])
            splits.append(FileSplit(chosen, targets, channels, size, statistics))
        reading = Reading(
            "images",
            channels,
            (height, width),
            statistics.scale,
            statistics.offset,
            resized=size is not None,
        )
        train, validation, test = splits
        return DataSet(
            self.name, train, validation, test, tuple(classes), channels, (height, width),
            reading=reading,
        )  # fmt: skip

    def _shape(self, files: dict[str, list[Path]], size: int | None) -> tuple[tuple[int, int], int]:
        """(H, W) and the channels, from the files' headers where they aren't given."""
        if size is not None and self.channels is not None:
            return (size, size), self.channels
        first: tuple[tuple[int, int], Path] | None = None
        all_grey = True
        for file in (file for part in files.values() for file in part):
            shape, grey = header(file)
            all_grey = all_grey and grey
            first = first or (shape, file)
            if size is None and shape != first[0]:
                raise DataError(
                    f"{file} has {shape[1]} x {shape[0]} pixels and {first[1]} "
                    f"{first[0][1]} x {first[0][0]}: give a size that all are brought to, such as "
                    "--data.size 64"
                )
        assert first is not None
        shape = first[0] if size is None else (size, size)
        return shape, self.channels or (1 if all_grey else 3)


class ImageFolder(FileSource):
    """Anyone's own folder: class/file, or that in train, validation and test. Final.

    Validation may be called val or valid. All grey files give 1 channel, others 3.
    """

    name: ClassVar[str] = "image-folder"
    title: ClassVar[str] = "an own folder of images"
    licence: ClassVar[str] = "your own"
    instructions: ClassVar[str] = "Give a folder that holds a folder for each class as data.path."

    def missing(self, folder: Path) -> list[str]:
        """See `Source`."""
        return [] if folder.is_dir() else [f"{folder} is not a folder"]

    def parts(self, folder: Path) -> dict[str, dict[str, list[Path]]]:
        """See `FileSource`."""
        return _parts(folder)


class ImageNet100(FileSource):
    """100 classes of ImageNet; any folder with train and val of class folders. Final."""

    name: ClassVar[str] = "imagenet100"
    title: ClassVar[str] = "ImageNet-100"
    licence: ClassVar[str] = "ImageNet's terms of access: research only"
    homepage: ClassVar[str] = "https://www.image-net.org"
    instructions: ClassVar[str] = (
        "Put the class folders into train and val: train/n01440764/n01440764_18.JPEG"
    )
    channels: ClassVar[int | None] = 3
    size: ClassVar[int | None] = 224
    statistics: ClassVar[Statistics | None] = IMAGENET

    def missing(self, folder: Path) -> list[str]:
        """See `Source`."""
        return [str(folder / p) for p in ("train", "val") if not (folder / p).is_dir()]

    def parts(self, folder: Path) -> dict[str, dict[str, list[Path]]]:
        """The official validation part is the test part, for the test labels aren't public."""
        found = {p: class_folders(folder / d, IMAGE_SUFFIXES) for p, d in _OFFICIAL}
        if len(found["train"]) != len(found["test"]):
            raise DataError(
                f"{folder}: train has {len(found['train'])} classes and val {len(found['test'])}"
            )
        return found


class ImageNet(ImageNet100):
    """ImageNet-1k. Final."""

    name: ClassVar[str] = "imagenet"
    title: ClassVar[str] = "ImageNet-1k"


class TinyImageNet(FileSource):
    """200 classes, 64 x 64: train/wnid/images, val/images with val_annotations.txt. Final."""

    name: ClassVar[str] = "tiny-imagenet"
    title: ClassVar[str] = "Tiny-ImageNet"
    licence: ClassVar[str] = "ImageNet's terms of access: research only"
    homepage: ClassVar[str] = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    instructions: ClassVar[str] = "Unpack tiny-imagenet-200.zip there."
    channels: ClassVar[int | None] = 3
    statistics: ClassVar[Statistics | None] = IMAGENET

    def missing(self, folder: Path) -> list[str]:
        """See `Source`."""
        base = _tiny(folder)
        there = {base / "train": (base / "train").is_dir()}
        there[base / "val" / "val_annotations.txt"] = (base / "val/val_annotations.txt").is_file()
        return [str(path) for path, found in there.items() if not found]

    def parts(self, folder: Path) -> dict[str, dict[str, list[Path]]]:
        """Its val part is the test part, for the test labels aren't public."""
        base = _tiny(folder)
        train = class_folders(base / "train", IMAGE_SUFFIXES)
        notes = base / "val" / "val_annotations.txt"
        test: dict[str, list[Path]] = {name: [] for name in train}
        try:
            lines = notes.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{notes} can't be read: {error}") from None
        for number, line in enumerate(lines, 1):
            file, tab, rest = line.partition("\t")
            name = rest.split("\t")[0]
            if not tab or name not in train or Path(file).name != file or "\0" in file:
                raise DataError(f"{notes}, line {number}: no file and known class: {line[:60]!r}")
            test[name].append(base / "val" / "images" / file)
        return {"train": train, "test": test}


_OFFICIAL = (("train", "train"), ("test", "val"))


def _parts(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Parts by the folders' names, or all as training."""
    there = {
        part: folder / name
        for part, names in _PARTS.items()
        for name in names
        if (folder / name).is_dir()
    }
    if "train" not in there:
        return {"train": class_folders(folder, IMAGE_SUFFIXES)}
    return {part: class_folders(path, IMAGE_SUFFIXES) for part, path in there.items()}


def _all(files: Sequence[Path], shape: tuple[int, int, int], size: int | None) -> NDArray[np.uint8]:
    pixels = np.empty((len(files), *shape), dtype=np.uint8)
    for i, file in enumerate(files):
        image = decoded(file, shape[2], size)
        if image.shape != shape:
            raise DataError(
                f"{file} has {image.shape[1]} x {image.shape[0]} pixels, others {shape[1]} x "
                f"{shape[0]}: give data.size"
            )
        pixels[i] = image
    return pixels


def _tiny(folder: Path) -> Path:
    inner = folder / "tiny-imagenet-200"
    return inner if inner.is_dir() else folder
