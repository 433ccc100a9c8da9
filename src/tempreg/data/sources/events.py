"""The event-based data sets of the paper in their original files, and anyone's own folder."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, final

from typing_extensions import override

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings import READERS
from tempreg.data.layout.class_folders import class_folders, subfolders
from tempreg.data.layout.layout import read_layout
from tempreg.data.layout.sessions import kin
from tempreg.data.source import Source
from tempreg.data.sources.recordings import EventSource, Sample

GESTURES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter clockwise",
    "left arm clockwise",
    "left arm counter clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)
CIFAR_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


@final
class NMNIST(EventSource):
    """70,000 recordings in Train/0 ... 9 and Test/0 ... 9."""

    name: ClassVar[str] = "nmnist-full"
    title: ClassVar[str] = "N-MNIST, 70,000 recordings"
    licence: ClassVar[str] = "CC BY-SA 4.0 (Orchard et al. 2015)"
    homepage: ClassVar[str] = "https://www.garrickorchard.com/datasets/n-mnist"
    sensor_size: ClassVar[tuple[int, int] | None] = (34, 34)
    instructions: ClassVar[str] = "Unpack Train.zip and Test.zip there: Train/0/00002.bin ..."

    @override
    def missing(self, folder: Path) -> list[str]:
        there = [f"{part}/{d}" for part in ("Train", "Test") for d in range(10)]
        return _absent(_within(folder, "Train"), there)

    @override
    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        found = []
        folder = _within(folder, "Train")
        for part in ("Train", "Test"):
            for name, files in class_folders(folder / part, {".bin", ".bs2"}).items():
                if name not in set("0123456789"):
                    raise DataError(f"{folder / part / name} is no digit's folder: remove it")
                found += [Sample(file, int(name), part.lower()) for file in files]
        return tuple("0123456789"), found


@final
class NCaltech101(EventSource):
    """8,709 recordings of 100 kinds of objects and of background.

    Those are Caltech101's images without Faces, which its authors left out beside Faces_easy.
    There is no official split, so one is drawn, stratified by seed.
    """

    name: ClassVar[str] = "n-caltech101"
    title: ClassVar[str] = "N-Caltech101"
    licence: ClassVar[str] = "CC BY 4.0 (Orchard et al. 2015)"
    homepage: ClassVar[str] = "https://www.garrickorchard.com/datasets/n-caltech101"
    sensor_size: ClassVar[tuple[int, int] | None] = (180, 240)
    instructions: ClassVar[str] = "Unpack Caltech101.zip there: Caltech101/accordion/image_0001.bin"

    @override
    def missing(self, folder: Path) -> list[str]:
        return _absent(folder, ["Caltech101"])

    @override
    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        return _by_class(class_folders(folder / "Caltech101", {".bin"}))


@final
class CIFAR10DVS(EventSource):
    """10,000 recordings of 10 classes; no official split, so stratified by seed."""

    name: ClassVar[str] = "cifar10-dvs"
    title: ClassVar[str] = "CIFAR10-DVS"
    licence: ClassVar[str] = "CC BY 4.0 (Li et al. 2017)"
    homepage: ClassVar[str] = "https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671"
    sensor_size: ClassVar[tuple[int, int] | None] = (128, 128)
    instructions: ClassVar[str] = (
        "Unpack airplane.zip ... truck.zip there: airplane/cifar10_airplane_0.aedat "
        "(.aedat4 and .mat are read as well)"
    )

    @override
    def missing(self, folder: Path) -> list[str]:
        return _absent(folder, list(CIFAR_CLASSES))

    @override
    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        classes = class_folders(folder, {".aedat", ".aedat4", ".mat"})
        if tuple(classes) != CIFAR_CLASSES:
            raise DataError(f"{folder} has other folders than {', '.join(CIFAR_CLASSES)}")
        return _by_class(classes)


@final
class DVS128Gesture(EventSource):
    """11 gestures of 29 users, official training and test users; grouped by user.

    Labels and tables as in its README: class 1 ... 11, begin and end in microseconds.
    """

    name: ClassVar[str] = "dvs128-gesture"
    title: ClassVar[str] = "DVS128 Gesture"
    licence: ClassVar[str] = "CC BY 4.0 (Amir et al. 2017)"
    homepage: ClassVar[str] = "https://research.ibm.com/interactive/dvsgesture/"
    sensor_size: ClassVar[tuple[int, int] | None] = (128, 128)
    instructions: ClassVar[str] = (
        "Unpack DvsGesture.tar.gz there: user01_fluorescent.aedat, "
        "user01_fluorescent_labels.csv, trials_to_train.txt ..."
    )

    @override
    def missing(self, folder: Path) -> list[str]:
        lists = [f"trials_to_{part}.txt" for part in ("train", "test")]
        if gone := _absent(folder, lists):
            return gone
        trials = [word for name in lists for word in _trials(folder / name)]
        tables = [trial.removesuffix(".aedat") + "_labels.csv" for trial in trials]
        return _absent(folder, trials + tables)

    @override
    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        found = []
        for part in ("train", "test"):
            for trial in _trials(folder / f"trials_to_{part}.txt"):
                path = folder / trial
                for target, start, end in gesture_labels(path.with_name(f"{path.stem}_labels.csv")):
                    user = path.stem.split("_")[0]
                    found.append(Sample(path, target, part, user, (start, end)))
        return GESTURES, found


@final
class EventFolder(EventSource):
    """An own folder of recordings, in any layout of `layout`.

    A session is the folder between class and recording, or what stands before a last `_` and
    digits in the name: class/monday/3.npz and class/monday_3.npz are both of session monday,
    which is never divided between the parts, also not where several classes have it. Where no
    class has two such names, as in class/image_1.npz, the digits only count, and what has one name
    but for its number may be of one session. See `splits.parts` for how these are divided.
    """

    name: ClassVar[str] = "event-folder"
    title: ClassVar[str] = "an own folder of recordings"
    licence: ClassVar[str] = "yours"
    instructions: ClassVar[str] = "Name it in data.path: one folder a class, recordings in it."

    @override
    def missing(self, folder: Path) -> list[str]:
        return [] if folder.is_dir() else [f"{folder} is not there"]

    @override
    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        return self.found(folder)[:2]

    @override
    def found(self, folder: Path) -> tuple[tuple[str, ...], list[Sample], tuple[str, ...]]:
        layout = read_layout(folder, READERS)
        classes = tuple(layout.parts["train"])
        found, bases = [], []
        for part, by_class in layout.parts.items():
            for name, (base, files) in by_class.items():
                own = part if layout.names else None
                found += [Sample(file, classes.index(name), own) for file in files]
                bases += [base] * len(files)
        of = kin([s.path for s in found], bases, [s.target for s in found], classes)
        found = [
            replace(s, session=name, counted=name is None and s.target in of.counted)
            for s, name in zip(found, of.names, strict=True)
        ]
        return classes, found, (*layout.remarks, *of.remarks)


def gesture_labels(path: Path) -> list[tuple[int, int, int]]:
    """Class index, first and last + 1 microsecond of each gesture in a table of labels."""
    found = []
    line = 1
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line, row in enumerate(csv.reader(file), 1):
                if line > 1 and row:
                    label, start, end = map(int, row)
                    if not (1 <= label <= len(GESTURES) and 0 <= start < end < 2**63):
                        raise ValueError
                    found.append((label - 1, start, end))
    except (ValueError, csv.Error):
        raise DataError(
            f"{path}, line {line}: must be class (1 - 11), start and end in microseconds"
        ) from None
    return found


def _trials(path: Path) -> list[str]:
    """The recordings that a list names, all beside it."""
    try:
        names = path.read_text(encoding="utf-8").split()
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text") from None
    for name in names:
        if not re.fullmatch(r"\w+\.aedat", name, re.ASCII):
            raise DataError(f"{path}: {name!r:.80} is no recording beside it: user01_led.aedat is")
    return names


def _within(folder: Path, name: str) -> Path:
    """The folder, or the only one in it that has `name`, as other libraries nest them."""
    if folder.is_dir() and not (folder / name).exists():
        inner = [path for path in subfolders(folder) if (path / name).exists()]
        return inner[0] if len(inner) == 1 else folder
    return folder


def _absent(folder: Path, names: list[str]) -> list[str]:
    return [f"{folder / name} is not there" for name in names if not (folder / name).exists()]


def _by_class(classes: dict[str, list[Path]]) -> tuple[tuple[str, ...], list[Sample]]:
    return tuple(classes), [
        Sample(file, target) for target, files in enumerate(classes.values()) for file in files
    ]


EVENT_SOURCES: tuple[Source, ...] = (
    NMNIST(),
    NCaltech101(),
    CIFAR10DVS(),
    DVS128Gesture(),
    EventFolder(),
)
