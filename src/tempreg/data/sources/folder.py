"""Sources of image files, and the first of them: anyone's own folder.

Small sets are decoded once, into memory; large ones for each batch.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from tempreg.data.base import SPLITS, DataSet
from tempreg.data.checks import image_fault, told_skipped
from tempreg.data.errors import DataError
from tempreg.data.formats.images import IMAGE_SUFFIXES, header
from tempreg.data.layout.layout import read_layout
from tempreg.data.reading import Reading
from tempreg.data.source import Source
from tempreg.data.sources.arrays import (
    Images,
    Statistics,
    array_data_set,
    as_asked,
    check_images,
    measured,
)
from tempreg.data.sources.image_files import FileSplit, all_decoded
from tempreg.data.sources.listing import Found, Listing, Parts, listed
from tempreg.options import DataOptions

if TYPE_CHECKING:
    from tempreg.data.checks import Check

IN_MEMORY = 256 << 20
"""Sets of at most so many bytes of pixels are kept in memory."""
MEASURED = 2000
"""Of a larger set, so many training images, evenly spaced, give mean and deviation."""


class FileSource(Source):
    """Image files. Subclass it and define `parts`, `missing` and the class attributes.

    Attributes:
        channels: 1 or 3; None: 1 if all files are grey, else 3.
        size: where data.size isn't given; None: as the files are, which must be of one size.
        statistics: None: measured on the training part.
    """

    kind: ClassVar[Literal["images", "events"]] = "images"
    without: ClassVar[tuple[str, ...]] = ("gap",)
    channels: ClassVar[int | None] = None
    size: ClassVar[int | None] = None
    statistics: ClassVar[Statistics | None] = None

    @abstractmethod
    def parts(self, folder: Path) -> Parts:
        """The files by part (of SPLITS) and class, classes and files in a fixed order."""

    def found(self, folder: Path) -> Found:
        """As `parts`, and what else a folder tells."""
        return Found(self.parts(folder))

    def load(self, options: DataOptions) -> DataSet:
        """See `Source`; parts that aren't there are drawn from the training part."""
        return self._load(options, IN_MEMORY)

    def check(self, options: DataOptions) -> Check:
        """See `Source`; goes on after a damaged image."""
        from tempreg.data.checks import check_images

        found = self._listed(options)
        drawn = found.drawn(options)
        samples = {}
        for split in SPLITS:
            part = split if split in found.files else "train"
            files, labels = found.files[part], found.labels[part]
            samples[split] = [(files[row], int(labels[row])) for row in drawn.of[split]]
        remarks = (*found.remarks, *found.shared(options), *drawn.cautions)
        return check_images(tuple(found.classes), samples, remarks)

    def _listed(self, options: DataOptions) -> Listing:
        folder = self.complete_folder(options)
        return listed(folder, self.found(folder))

    def _load(self, options: DataOptions, in_memory: int) -> DataSet:
        found = self._listed(options)
        faults: dict[Path, str] = {}
        if options.skip_damaged:
            every = (file for of in found.files.values() for file in of)
            faults = {file: fault for file in every if (fault := image_fault(file))}
            found = found.without(faults)
        skipped = tuple(faults.values())
        files, labels = found.files, found.labels
        size = options.size or self.size
        options = replace(options, size=size)
        check_images(options)
        (height, width), channels = self._shape(files, size)
        everything = sum(map(len, files.values()))
        shape, side = (height, width, channels), options.shorter_side
        if everything * height * width * channels > in_memory or options.whole_images:
            drawn = found.drawn(options)
            chosen = {}
            for split in SPLITS:
                part = split if split in files else "train"
                kept = [files[part][row] for row in drawn.of[split]]
                chosen[split] = kept, torch.from_numpy(labels[part][drawn.of[split]])
            data = self._decoded_later(chosen, found.classes, options, shape)
            data = replace(data, sessions=drawn.sessions, cautions=drawn.cautions)
        else:
            images = {
                part: Images(all_decoded(files[part], shape, size, side), labels[part])
                for part in files
            }
            done, sessions = replace(options, shorter_side=None), found.sessions(options)
            data = array_data_set(
                self.name, images, found.classes, done, self.statistics, found.order, sessions
            )
            assert data.reading is not None
            data = replace(data, reading=replace(data.reading, shorter_side=side))
        return replace(
            data,
            remarks=(*found.remarks, *told_skipped(skipped), *data.remarks),
            cautions=(*found.shared(options), *data.cautions),
            skipped=skipped,
        )

    def _decoded_later(
        self,
        chosen: dict[str, tuple[list[Path], Tensor]],
        classes: list[str],
        options: DataOptions,
        shape: tuple[int, int, int],
    ) -> DataSet:
        """Of files and targets by split, a data set that reads them for each batch."""
        (height, width, channels), size, side = shape, options.size, options.shorter_side
        statistics = self.statistics
        if statistics is None:
            files = chosen["train"][0]
            places = np.linspace(0, len(files) - 1, min(MEASURED, len(files)))
            statistics = measured(all_decoded([files[int(i)] for i in places], shape, size, side))
        statistics = as_asked(statistics, options, channels)
        train, validation, test = (
            FileSplit(
                *chosen[name], channels, size, statistics, shape=(height, width), shorter_side=side
            )
            for name in SPLITS
        )
        reading = Reading(
            "images",
            channels,
            (height, width),
            statistics.scale,
            statistics.offset,
            resized=size is not None,
            shorter_side=side,
        )
        return DataSet(
            self.name,
            train,
            validation,
            test,
            tuple(classes),
            channels,
            (height, width),
            reading=reading,
        )

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


@final
class ImageFolder(FileSource):
    """Anyone's own folder, in any layout of `layout`.

    All grey files give 1 channel, others 3.
    """

    name: ClassVar[str] = "image-folder"
    title: ClassVar[str] = "an own folder of images"
    licence: ClassVar[str] = "your own"
    instructions: ClassVar[str] = "Give a folder that holds a folder for each class as data.path."

    @override
    def missing(self, folder: Path) -> list[str]:
        return [] if folder.is_dir() else [f"{folder} is not a folder"]

    @override
    def parts(self, folder: Path) -> Parts:
        return self.found(folder).parts

    @override
    def found(self, folder: Path) -> Found:
        layout = read_layout(folder, IMAGE_SUFFIXES)
        bases = {p: {c: base for c, (base, _) in by.items()} for p, by in layout.parts.items()}
        return Found(layout.files, layout.remarks, bases)
