"""CIFAR-10 and CIFAR-100: the binary and the Python version, unpacked or as downloaded.

The layouts are those of https://www.cs.toronto.edu/~kriz/cifar.html: an image is 3,072 bytes, its
red, green and blue planes of 32 rows; in the binary version one label byte stands before it
(CIFAR-100: two, the coarse one first). An archive is read in memory: nothing is unpacked.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, ClassVar, Literal, cast, final

import numpy as np
from numpy.typing import NDArray

from tempreg.data.base import DataSet
from tempreg.data.errors import DataError
from tempreg.data.fetch.unpack import Bounded, most_bytes
from tempreg.data.formats.pickle import read_pickle
from tempreg.data.source import Source
from tempreg.data.sources.arrays import Images, Statistics, array_data_set
from tempreg.options import DataOptions

PIXELS = 3072
MAX_BYTES = 400_000_000
"""No file of either set is nearly as large."""
Read = Callable[[str], bytes]


class CIFAR(Source):
    """One of the two. Subclass it with the class attributes.

    Attributes:
        folders: of the binary and of the Python version, in their archives.
        archives: the same, as downloaded.
        files: of each part, without the binary version's ".bin".
        labels_before: label bytes before an image; the last one counts.
        label_key: what the Python version calls the labels.
        names: the file of class names in each version, and what the Python version calls them.
    """

    kind: ClassVar[Literal["images", "events"]] = "images"
    licence: ClassVar[str] = "none stated (Krizhevsky 2009)"
    homepage: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar.html"
    folders: ClassVar[tuple[str, str]]
    archives: ClassVar[tuple[str, str]]
    files: ClassVar[dict[str, tuple[str, ...]]]
    labels_before: ClassVar[int]
    label_key: ClassVar[bytes]
    names: ClassVar[tuple[str, str, bytes]]
    statistics: ClassVar[Statistics]

    def missing(self, folder: Path) -> list[str]:
        """See `Source`: one version is enough, unpacked or not."""
        place = self._place(folder)
        if place is None:
            return [f"{folder / self.archives[0]} (or {self.archives[1]}, or one of them unpacked)"]
        base, binary = place
        if base.is_file():
            return []
        ends = ".bin" if binary else ""
        wanted = [f"{name}{ends}" for names in self.files.values() for name in names]
        return [str(base / name) for name in wanted if not (base / name).is_file()]

    def load(self, options: DataOptions) -> DataSet:
        """See `Source`; the validation part is drawn from the training part."""
        folder = self.folder(options)
        place = self._place(folder)
        if (missing := self.missing(folder)) or place is None:
            raise DataError(f"{self.name} is not complete: {missing[0]} is not there")
        base, binary = place
        inner = self.folders[0 if binary else 1]
        read = _archive(base, inner) if base.is_file() else _folder(base)
        part = self._binary if binary else self._python
        parts = {}
        for name, files in self.files.items():
            pieces = [part(read, file, base) for file in files]
            pixels = np.concatenate([piece.pixels for piece in pieces])
            parts[name] = Images(pixels, np.concatenate([piece.labels for piece in pieces]))
        names = self._classes(read, base, binary)
        return array_data_set(self.name, parts, names, options, self.statistics)

    def _place(self, folder: Path) -> tuple[Path, bool] | None:
        """The folder or archive, and whether it is the binary version."""
        if folder.is_file():
            return folder, "binary" in folder.name
        first = self.files["train"][0]
        for binary, inner in ((True, self.folders[0]), (False, self.folders[1])):
            for base in (folder / inner, folder):
                if (base / f"{first}{'.bin' if binary else ''}").is_file():
                    return base, binary
        for binary, archive in ((True, self.archives[0]), (False, self.archives[1])):
            if (folder / archive).is_file():
                return folder / archive, binary
        return None

    def _binary(self, read: Read, file: str, base: Path) -> Images:
        data = np.frombuffer(read(f"{file}.bin"), dtype=np.uint8)
        row = PIXELS + self.labels_before
        if len(data) == 0 or len(data) % row:
            raise DataError(
                f"{base / file}.bin has {len(data)} bytes: it must have {row} for each image"
            )
        rows = data.reshape(-1, row)
        labels = rows[:, self.labels_before - 1].astype(np.int64)
        return Images(_pixels(rows[:, self.labels_before :]), labels)

    def _python(self, read: Read, file: str, base: Path) -> Images:
        where = str(base / file)
        content = read_pickle(read(file), where)
        if not isinstance(content, dict) or not {b"data", self.label_key} <= content.keys():
            raise DataError(f"{where} lacks data or {self.label_key.decode()}: it is another file")
        values, labels = content[b"data"], content[self.label_key]
        if not isinstance(values, np.ndarray) or values.ndim != 2 or values.shape[1] != PIXELS:
            raise DataError(f"{where}: data must be an array of {PIXELS} bytes for each image")
        if not isinstance(labels, list) or not all(type(label) is int for label in labels):
            raise DataError(f"{where}: {self.label_key.decode()} must be a list of whole numbers")
        if len(labels) != len(values):
            raise DataError(f"{where} has {len(values)} images but {len(labels)} labels")
        return Images(_pixels(np.asarray(values)), np.array(labels, dtype=np.int64))

    def _classes(self, read: Read, base: Path, binary: bool) -> Sequence[str]:
        text_file, pickle_file, key = self.names
        if binary:
            return _text(read(text_file), base / text_file).split()
        content = read_pickle(read(pickle_file), str(base / pickle_file))
        found = content.get(key) if isinstance(content, dict) else None
        if not isinstance(found, list) or not all(isinstance(name, bytes) for name in found):
            raise DataError(f"{base / pickle_file} lacks {key.decode()}: it is another file")
        return [_text(name, base / pickle_file) for name in found]


@final
class CIFAR10(CIFAR):
    """50,000 / 10,000 images of 10 classes, 32 x 32."""

    name: ClassVar[str] = "cifar10"
    title: ClassVar[str] = "CIFAR-10"
    folders: ClassVar[tuple[str, str]] = ("cifar-10-batches-bin", "cifar-10-batches-py")
    archives: ClassVar[tuple[str, str]] = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
    files: ClassVar[dict[str, tuple[str, ...]]] = {
        "train": tuple(f"data_batch_{i}" for i in range(1, 6)),
        "test": ("test_batch",),
    }
    labels_before: ClassVar[int] = 1
    label_key: ClassVar[bytes] = b"labels"
    names: ClassVar[tuple[str, str, bytes]] = ("batches.meta.txt", "batches.meta", b"label_names")
    statistics: ClassVar[Statistics] = Statistics(
        (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    )


@final
class CIFAR100(CIFAR):
    """50,000 / 10,000 images of 100 (fine) classes, 32 x 32."""

    name: ClassVar[str] = "cifar100"
    title: ClassVar[str] = "CIFAR-100"
    folders: ClassVar[tuple[str, str]] = ("cifar-100-binary", "cifar-100-python")
    archives: ClassVar[tuple[str, str]] = ("cifar-100-binary.tar.gz", "cifar-100-python.tar.gz")
    files: ClassVar[dict[str, tuple[str, ...]]] = {"train": ("train",), "test": ("test",)}
    labels_before: ClassVar[int] = 2
    label_key: ClassVar[bytes] = b"fine_labels"
    names: ClassVar[tuple[str, str, bytes]] = (
        "fine_label_names.txt",
        "meta",
        b"fine_label_names",
    )
    statistics: ClassVar[Statistics] = Statistics(
        (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    )


def _pixels(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[N, 3072] to [N, 32, 32, 3]."""
    pixels: NDArray[np.uint8] = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return pixels


def _text(raw: bytes, path: Path) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text") from None


def _folder(base: Path) -> Read:
    def read(name: str) -> bytes:
        path = base / name
        try:
            if path.stat().st_size > MAX_BYTES:
                raise DataError(f"{path} is larger than {MAX_BYTES:,} bytes: it is another file")
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} can't be read: {error.strerror}") from None

    return read


def _archive(path: Path, inner: str) -> Read:
    """The files of one folder in a .tar.gz, read in one pass."""
    found: dict[str, bytes] = {}
    size = 0
    try:
        limit = min(MAX_BYTES, most_bytes(path))  # of headers too, which tarfile reads whole
        with (
            gzip.open(path) as packed,
            tarfile.open(
                fileobj=cast(IO[bytes], Bounded(path, cast(IO[bytes], packed), limit)), mode="r|"
            ) as archive,
        ):
            for member in archive:
                size += member.size
                if size > limit:
                    raise DataError(f"{path} unpacks to more than {limit:,} bytes: refused")
                folder, _, name = member.name.rpartition("/")
                if folder.removeprefix("./") == inner and member.isreg():
                    content = archive.extractfile(member)
                    assert content is not None
                    found[name] = content.read()
    except DataError:
        raise
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise DataError(f"{path} can't be read as .tar.gz: {error}") from None

    def read(name: str) -> bytes:
        if name not in found:
            raise DataError(f"{path} lacks {inner}/{name}: it is another archive")
        return found[name]

    return read
