"""MNIST and Fashion-MNIST in the idx format, gzipped or not.

The format: two zero bytes, the type (8 is unsigned byte), the number of dimensions, each
dimension as a big-endian 32-bit number, then the values (http://yann.lecun.com/exdb/mnist).
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from tempreg.data.base import DataSet
from tempreg.data.errors import DataError
from tempreg.data.source import Source
from tempreg.data.sources.arrays import Images, Statistics, array_data_set
from tempreg.data.sources.embedded import FASHION_CLASSES, FASHION_MEAN, FASHION_STD
from tempreg.options import DataOptions

MAX_BYTES = 1 << 30
"""A file that claims more values is refused before memory is taken."""


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The unsigned bytes of an idx file, which must have so many dimensions.

    Raises:
        DataError: another kind of file, or one that is shorter or longer than it claims.
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            start = file.read(4 + 4 * dimensions)
            if start[:4] != bytes((0, 0, 8, dimensions)) or len(start) < 4 + 4 * dimensions:
                raise DataError(
                    f"{path} is not an idx file of bytes with {dimensions} dimensions: it begins "
                    f"with {start[:4].hex(' ') or 'nothing'}"
                )
            shape = [int(n) for n in np.frombuffer(start, dtype=">u4", offset=4)]
            size = math.prod(shape)
            if size > MAX_BYTES:
                raise DataError(f"{path} claims {size:,} values, more than {MAX_BYTES:,}")
            values = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be read: {error}") from None
    if len(values) != size:
        found = "more" if len(values) > size else f"{len(values):,}"
        raise DataError(f"{path} must hold {size:,} values after its header, and holds {found}")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


class Idx(Source):
    """Four idx files. Subclass it with the class attributes.

    Attributes:
        classes, statistics: of the set.
        kept_in: where torchvision keeps them in its folder of data sets.
    """

    kind: ClassVar[Literal["images", "events"]] = "images"
    classes: ClassVar[tuple[str, ...]]
    statistics: ClassVar[Statistics]
    kept_in: ClassVar[str]
    instructions: ClassVar[str] = (
        "Put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz "
        "and t10k-labels-idx1-ubyte.gz there, unpacked or not."
    )

    @override
    def missing(self, folder: Path) -> list[str]:
        return [
            f"{folder / name}-ubyte.gz"
            for part in ("train", "t10k")
            for name in (f"{part}-images-idx3", f"{part}-labels-idx1")
            if _found(folder, name, self.kept_in) is None
        ]

    def load(self, options: DataOptions) -> DataSet:
        """See `Source`; the validation part is drawn from the training part."""
        folder = self.complete_folder(options)
        parts = {}
        for name, part in (("train", "train"), ("test", "t10k")):
            pixels = read_idx(_there(folder, f"{part}-images-idx3", self.kept_in), 3)
            labels = read_idx(_there(folder, f"{part}-labels-idx1", self.kept_in), 1)
            parts[name] = Images(pixels[..., None], labels.astype(np.int64))
        return array_data_set(self.name, parts, self.classes, options, self.statistics)


@final
class MNIST(Idx):
    """60,000 / 10,000 digits, 28 x 28."""

    name: ClassVar[str] = "mnist"
    title: ClassVar[str] = "MNIST"
    licence: ClassVar[str] = "CC BY-SA 3.0 (LeCun and Cortes)"
    homepage: ClassVar[str] = "http://yann.lecun.com/exdb/mnist"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    kept_in: ClassVar[str] = "MNIST/raw"
    statistics: ClassVar[Statistics] = Statistics((0.1307,), (0.3081,))


@final
class FashionMNIST(Idx):
    """60,000 / 10,000 pieces of clothing, 28 x 28."""

    name: ClassVar[str] = "fashion-mnist-full"
    title: ClassVar[str] = "Fashion-MNIST, 70,000 images"
    licence: ClassVar[str] = "MIT (Zalando SE)"
    homepage: ClassVar[str] = "https://github.com/zalandoresearch/fashion-mnist"
    classes: ClassVar[tuple[str, ...]] = FASHION_CLASSES
    kept_in: ClassVar[str] = "FashionMNIST/raw"
    statistics: ClassVar[Statistics] = Statistics((FASHION_MEAN,), (FASHION_STD,))


def _found(folder: Path, name: str, *within: str) -> Path | None:
    dotted = name.replace("-idx", ".idx")  # as some unpackers name them
    names = [f"{n}-ubyte{suffix}" for n in (name, dotted) for suffix in (".gz", "")]
    places = [folder / inner / n for inner in ("", "raw", *within) for n in names]
    return next((path for path in places if path.is_file()), None)


def _there(folder: Path, name: str, *within: str) -> Path:
    path = _found(folder, name, *within)
    assert path is not None
    return path
