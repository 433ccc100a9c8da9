"""Images in .npz files: as arrays of pixels, or as encoded files one after the other."""

from __future__ import annotations

import itertools
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tempreg.data.base import SPLITS, DataSet
from tempreg.data.images import decoded
from tempreg.data.npy_header import Header
from tempreg.data.options import DataOptions
from tempreg.data.source import DataError, Source
from tempreg.data.static.arrays import Images, array_data_set

MAX_BYTES = 8 << 30
"""A file that claims to hold more is refused before memory is taken."""


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file; nothing is unpickled.

    Raises:
        DataError: no .npz file, a damaged one, one with Python objects, or one that claims to
            hold more than MAX_BYTES.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = 0
            for info in archive.infolist():
                with archive.open(info) as file:
                    claimed += Header(file).bytes
            if claimed > MAX_BYTES:
                raise DataError(f"{path} claims {claimed:,} bytes, more than {MAX_BYTES:,}")
            arrays = {}
            for info in archive.infolist():
                with archive.open(info) as file:
                    arrays[info.filename.removesuffix(".npy")] = Header(file).array(file).copy()
            return arrays
    except (
        zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError
    ) as error:  # fmt: skip  # RuntimeError: encrypted, or packed in a way that is unknown
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} can't be read as .npz: {error}") from None


def pixels_of(values: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """uint8 [N, H, W, C] from [N, H, W], [N, H, W, C] or [N, C, H, W]; C is 1 or 3.

    The last dimension holds the channels if its length is 1 or 3, else the second does.
    Floating-point values must lie in 0 ... 1 and become 0 ... 255.
    """
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim != 4 or not {values.shape[3], values.shape[1]} & {1, 3}:
        raise DataError(
            f"{where} has the shape {values.shape}: images are [N, H, W], [N, H, W, C] or "
            "[N, C, H, W] with C 1 or 3"
        )
    if values.shape[3] not in (1, 3):
        values = values.transpose(0, 2, 3, 1)
    if 0 in values.shape[1:]:
        raise DataError(f"{where} has the shape {values.shape}: its images have no pixels")
    if values.dtype == np.uint8 or not len(values):
        return values.astype(np.uint8, copy=False)
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise DataError(f"{where} holds floating-point values outside of 0 ... 1: scale them")
        values = (values * 255).round()
    elif values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise DataError(f"{where} must hold numbers from 0 to 255, or from 0 to 1 as floats")
    return values.astype(np.uint8)


def encoded_images(arrays: dict[str, NDArray[Any]], path: Path, size: int | None) -> Images:
    """Images from `jpeg` (files, concatenated), `offsets` [N + 1] and `labels` [N]."""
    data, offsets = _array(arrays, "jpeg", path), _array(arrays, "offsets", path).astype(np.int64)
    labels = _labels(_array(arrays, "labels", path), path)
    if len(offsets) != len(labels) + 1 or len(labels) == 0:
        raise DataError(f"{path} has {len(labels)} labels and {len(offsets)} offsets: one more")
    if offsets[0] != 0 or offsets[-1] != len(data) or (np.diff(offsets) <= 0).any():
        raise DataError(f"{path}: offsets must rise from 0 to {len(data)}, the length of jpeg")
    first: NDArray[np.uint8] | None = None
    for i, (start, end) in enumerate(itertools.pairwise(offsets)):
        image = decoded(data[start:end].tobytes(), 3, size, name=f"{path}, image {i}")
        if first is None:
            pixels, first = np.empty((len(labels), *image.shape), dtype=np.uint8), image
        if image.shape != first.shape:
            raise DataError(
                f"{path}: image {i} has {image.shape[1]} x {image.shape[0]} pixels, the first "
                f"{first.shape[1]} x {first.shape[0]}: give data.size"
            )
        pixels[i] = image
    return Images(pixels, labels)


class EncodedCIFAR10(Source):
    """CIFAR-10 as JPEG files in two .npz files; not comparable to published results. Final."""

    name: ClassVar[str] = "cifar10-jpeg"
    title: ClassVar[str] = "CIFAR-10, JPEG-compressed"
    kind: ClassVar[Literal["images", "events"]] = "images"
    licence: ClassVar[str] = "none stated"
    instructions: ClassVar[str] = (
        "Each of the two files holds jpeg (encoded images, one after the other), offsets, labels "
        "and classes."
    )

    def missing(self, folder: Path) -> list[str]:
        """See `Source`."""
        return [str(path) for path in _files(folder).values() if not path.is_file()]

    def load(self, options: DataOptions) -> DataSet:
        """See `Source`; the validation part is drawn from the training part."""
        folder = self.folder(options)
        if missing := self.missing(folder):
            raise DataError(f"{self.name} is not complete: {missing[0]}. {self.instructions}")
        parts = {}
        classes: Sequence[str] = ()
        for part, path in _files(folder).items():
            arrays = read_npz(path)
            parts[part] = encoded_images(arrays, path, options.size)
            classes = [str(name) for name in _array(arrays, "classes", path)]
        return array_data_set(self.name, parts, classes, options)


class Npz(Source):
    """One .npz file of the user's: `data.path`. Final.

    It holds `x` or `images` and `y` or `labels`, as `pixels_of` describes them; parts that are
    named so are taken as they are: `x_test` and `y_test`, `x_validation` (or `x_val`) and
    `y_validation`. `classes` may hold their names.
    """

    name: ClassVar[str] = "npz"
    title: ClassVar[str] = "an own .npz file of images"
    kind: ClassVar[Literal["images", "events"]] = "images"
    licence: ClassVar[str] = "your own"
    instructions: ClassVar[str] = "Give an .npz file with the arrays x and y as data.path."

    def missing(self, folder: Path) -> list[str]:
        """See `Source`; `folder` is the file."""
        return [] if folder.is_file() else [str(folder)]

    def load(self, options: DataOptions) -> DataSet:
        """See `Source`; parts that aren't in the file are drawn from the others."""
        path = self.folder(options)
        if self.missing(path):
            raise DataError(f"{path} is not a file. {self.instructions}")
        arrays = read_npz(path)
        parts = {}
        for part in SPLITS:
            found = [_one_of(arrays, stems, part) for stems in (("x", "images"), ("y", "labels"))]
            x, y = found
            if (x is None) != (y is None) or (part == "train" and x is None):
                raise DataError(
                    f"{path} lacks {'y' if y is None else 'x'} of its {part} part: it "
                    f"has {', '.join(arrays) or 'nothing'}"
                )
            if x is not None and y is not None:
                pixels = pixels_of(arrays[x], f"{path}, {x}")
                parts[part] = Images(pixels, _labels(arrays[y], path))
        if "classes" in arrays:
            classes = [str(name) for name in arrays["classes"]]
        else:
            most = max(int(p.labels.max(initial=0)) for p in parts.values())
            images = sum(len(p.labels) for p in parts.values())
            if most >= max(images, 1):
                raise DataError(
                    f"{path} has the label {most}, and {images} images: number the classes from 0, "
                    "or name each in an array `classes`"
                )
            classes = [str(i) for i in range(most + 1)]
        return array_data_set(self.name, parts, classes, options)


def _one_of(arrays: dict[str, NDArray[Any]], stems: tuple[str, ...], part: str) -> str | None:
    ends = {"train": ("", "_train"), "validation": ("_validation", "_val"), "test": ("_test",)}
    return next((s + end for end in ends[part] for s in stems if s + end in arrays), None)


def _array(arrays: dict[str, NDArray[Any]], name: str, path: Path) -> NDArray[Any]:
    if name not in arrays:
        raise DataError(f"{path} lacks the array {name}: it has {', '.join(arrays) or 'nothing'}")
    return arrays[name]


def _labels(values: NDArray[Any], path: Path) -> NDArray[np.int64]:
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataError(f"{path}: labels must be a list of whole numbers, one an image")
    return values.astype(np.int64)


def _files(folder: Path) -> dict[str, Path]:
    return {part: folder / f"cifar10_jpeg_{part}.npz" for part in ("train", "test")}
