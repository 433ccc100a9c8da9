"""Images in .npz files: as arrays of pixels, or as encoded files one after the other."""

from __future__ import annotations

import itertools
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from tempreg.data.base import DataSet
from tempreg.data.errors import DataError
from tempreg.data.formats.images import decoded
from tempreg.data.formats.npy import Header
from tempreg.data.source import Source
from tempreg.data.sources.array_names import NAMES_OF_CLASSES, images_and_labels
from tempreg.data.sources.arrays import Images, array_data_set
from tempreg.data.sources.labels import Labels, read_labels
from tempreg.options import DataOptions

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
    Floating-point values must lie in 0 ... 1 and become 0 ... 255, or be whole numbers of that
    range; true and false become 255 and 0.
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
    if values.dtype.kind == "b":
        values = values * np.uint8(255)
    elif values.dtype.kind == "f":
        if not np.isfinite(values).all() or values.min() < 0:
            raise _floats(where)
        if values.max() <= 1:
            values = (values * 255).round()
        elif values.max() > 255 or (values != np.trunc(values)).any():
            raise _floats(where)
    elif values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise DataError(f"{where} must hold numbers from 0 to 255, or from 0 to 1 as floats")
    return values.astype(np.uint8)


def _floats(where: str) -> DataError:
    return DataError(
        f"{where} holds floating-point values outside of 0 ... 1 that are no whole numbers of "
        "0 ... 255: scale them"
    )


def encoded_images(arrays: dict[str, NDArray[Any]], path: Path, size: int | None) -> Images:
    """Images from `jpeg` (files, concatenated), `offsets` [N + 1] and `labels` [N]."""
    data, offsets = _array(arrays, "jpeg", path), _array(arrays, "offsets", path).astype(np.int64)
    labels = read_labels(_array(arrays, "labels", path), f"{path}, labels").indices
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


@final
class EncodedCIFAR10(Source):
    """CIFAR-10 as JPEG files in two .npz files; not comparable to published results."""

    name: ClassVar[str] = "cifar10-jpeg"
    title: ClassVar[str] = "CIFAR-10, JPEG-compressed"
    kind: ClassVar[Literal["images", "events"]] = "images"
    licence: ClassVar[str] = "none stated"
    instructions: ClassVar[str] = (
        "Each of the two files holds jpeg (encoded images, one after the other), offsets, labels "
        "and classes."
    )

    @override
    def missing(self, folder: Path) -> list[str]:
        return [str(path) for path in _files(folder).values() if not path.is_file()]

    def load(self, options: DataOptions) -> DataSet:
        """See `Source`; the validation part is drawn from the training part."""
        folder = self.complete_folder(options)
        parts = {}
        classes: Sequence[str] = ()
        for part, path in _files(folder).items():
            arrays = read_npz(path)
            parts[part] = encoded_images(arrays, path, options.size)
            classes = [str(name) for name in _array(arrays, "classes", path)]
        return array_data_set(self.name, parts, classes, options)


@final
class Npz(Source):
    """One .npz file of the user's: `data.path`.

    It holds `x` and `y`, or images and labels of other names (`array_names`), as `pixels_of` and
    `labels.read_labels` describe them; parts that are named so are taken as they are: `x_test` and
    `y_test`, `x_val` and `y_val`. `classes` may hold the names of the classes.
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
        found, left_out = images_and_labels(arrays, str(path))
        pixels = {part: pixels_of(arrays[x], f"{path}, {x}") for part, (x, _) in found.items()}
        labels = {part: read_labels(arrays[y], f"{path}, {y}") for part, (_, y) in found.items()}
        classes, indices = _classes(arrays, labels, path)
        parts = {part: Images(pixels[part], indices[part]) for part in found}
        data = array_data_set(self.name, parts, classes, options)
        if not left_out:
            return data
        return replace(data, remarks=(*data.remarks, f"arrays left out: {', '.join(left_out)}"))


def _classes(
    arrays: dict[str, NDArray[Any]], labels: dict[str, Labels], path: Path
) -> tuple[list[str], dict[str, NDArray[np.int64]]]:
    """The names of the classes, and the class indices of each part."""
    given = next((arrays[name] for name in NAMES_OF_CLASSES if name in arrays), None)
    classes = None if given is None else [str(name) for name in given.reshape(-1)]
    text = [part.names is not None for part in labels.values()]
    if any(text):
        if not all(text):
            raise DataError(f"{path} has labels that are text in some parts and numbers in others")
        names = classes or sorted({name for part in labels.values() for name in part.names or ()})
        indices = {}
        for part, found in labels.items():
            if odd := [name for name in found.names or () if name not in names]:
                raise DataError(f"{path}: the {part} label {odd[0]!r} is none of its classes")
            places = np.array([names.index(name) for name in found.names or ()], dtype=np.int64)
            indices[part] = places[found.indices] if len(places) else found.indices
        return names, indices
    indices = {part: found.indices for part, found in labels.items()}
    if classes is not None:
        return classes, indices
    most = max(int(values.max(initial=0)) for values in indices.values())
    images = sum(map(len, indices.values()))
    if most >= max(images, 1):
        raise DataError(
            f"{path} has the label {most}, and {images} images: number the classes from 0, "
            "or name each in an array `classes`"
        )
    widest = max(found.width or 0 for found in labels.values())
    return [str(i) for i in range(max(most + 1, widest))], indices


def _array(arrays: dict[str, NDArray[Any]], name: str, path: Path) -> NDArray[Any]:
    if name not in arrays:
        raise DataError(f"{path} lacks the array {name}: it has {', '.join(arrays) or 'nothing'}")
    return arrays[name]


def _files(folder: Path) -> dict[str, Path]:
    return {part: folder / f"cifar10_jpeg_{part}.npz" for part in ("train", "test")}
