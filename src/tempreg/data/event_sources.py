"""The event-based data sets of the paper in their original files, and anyone's own folder."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from tempreg.data.event_files import READERS
from tempreg.data.event_sets import EventSource, Sample
from tempreg.data.folders import class_folders
from tempreg.data.source import DataError, Source

_SESSION = re.compile(r"(.+)_\d+")
GESTURES = (
    "hand clapping", "right hand wave", "left hand wave", "right arm clockwise",
    "right arm counter clockwise", "left arm clockwise", "left arm counter clockwise",
    "arm roll", "air drums", "air guitar", "other gestures",
)  # fmt: skip
CIFAR_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


class NMNIST(EventSource):
    """70,000 recordings in Train/0 ... 9 and Test/0 ... 9. Final."""

    name: ClassVar[str] = "nmnist-full"
    title: ClassVar[str] = "N-MNIST, 70,000 recordings"
    licence: ClassVar[str] = "CC BY-SA 4.0 (Orchard et al. 2015)"
    homepage: ClassVar[str] = "https://www.garrickorchard.com/datasets/n-mnist"
    sensor_size: ClassVar[tuple[int, int] | None] = (34, 34)
    instructions: ClassVar[str] = "Unpack Train.zip and Test.zip there: Train/0/00002.bin ..."

    def missing(self, folder: Path) -> list[str]:
        """See `Source`."""
        return _absent(folder, [f"{part}/{d}" for part in ("Train", "Test") for d in range(10)])

    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        """See `EventSource`."""
        found = []
        for part in ("Train", "Test"):
            for name, files in class_folders(folder / part, {".bin", ".bs2"}).items():
                if name not in set("0123456789"):
                    raise DataError(f"{folder / part / name} is no digit's folder: remove it")
                found += [Sample(file, int(name), part.lower()) for file in files]
        return tuple("0123456789"), found


class NCaltech101(EventSource):
    """8,709 recordings of 100 kinds of objects and of background. Final.

    Those are Caltech101's images without Faces, which its authors left out beside Faces_easy.
    There is no official split, so one is drawn, stratified by seed.
    """

    name: ClassVar[str] = "n-caltech101"
    title: ClassVar[str] = "N-Caltech101"
    licence: ClassVar[str] = "CC BY 4.0 (Orchard et al. 2015)"
    homepage: ClassVar[str] = "https://www.garrickorchard.com/datasets/n-caltech101"
    sensor_size: ClassVar[tuple[int, int] | None] = (180, 240)
    instructions: ClassVar[str] = "Unpack Caltech101.zip there: Caltech101/accordion/image_0001.bin"

    def missing(self, folder: Path) -> list[str]:
        """See `Source`."""
        return _absent(folder, ["Caltech101"])

    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        """See `EventSource`."""
        return _by_class(class_folders(folder / "Caltech101", {".bin"}))


class CIFAR10DVS(EventSource):
    """10,000 recordings of 10 classes; no official split, so stratified by seed. Final."""

    name: ClassVar[str] = "cifar10-dvs"
    title: ClassVar[str] = "CIFAR10-DVS"
    licence: ClassVar[str] = "CC BY 4.0 (Li et al. 2017)"
    homepage: ClassVar[str] = "https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671"
    sensor_size: ClassVar[tuple[int, int] | None] = (128, 128)
    instructions: ClassVar[str] = (
        "Unpack airplane.zip ... truck.zip there: airplane/cifar10_airplane_0.aedat "
        "(.aedat4 and .mat are read as well)"
    )

    def missing(self, folder: Path) -> list[str]:
        """See `Source`."""
        return _absent(folder, list(CIFAR_CLASSES))

    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        """See `EventSource`."""
        classes = class_folders(folder, {".aedat", ".aedat4", ".mat"})
        if tuple(classes) != CIFAR_CLASSES:
            raise DataError(f"{folder} has other folders than {', '.join(CIFAR_CLASSES)}")
        return _by_class(classes)


class DVS128Gesture(EventSource):
    """11 gestures of 29 users, official training and test users; grouped by user. Final.

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

    def missing(self, folder: Path) -> list[str]:
        """See `Source`."""
        lists = [f"trials_to_{part}.txt" for part in ("train", "test")]
        if gone := _absent(folder, lists):
            return gone
        trials = [word for name in lists for word in _trials(folder / name)]
        tables = [trial.removesuffix(".aedat") + "_labels.csv" for trial in trials]
        return _absent(folder, trials + tables)

    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        """See `EventSource`."""
        found = []
        for part in ("train", "test"):
            for trial in _trials(folder / f"trials_to_{part}.txt"):
                path = folder / trial
                for target, start, end in gesture_labels(path.with_name(f"{path.stem}_labels.csv")):
                    user = path.stem.split("_")[0]
                    found.append(Sample(path, target, part, user, (start, end)))
        return GESTURES, found


class EventFolder(EventSource):
    """An own folder, class/recording, or train, validation and test folders of such. Final.

    A session is the folder between class and recording, or what stands before a last `_` and
    digits in the name: class/monday/3.npz and class/monday_3.npz are both of session monday,
    which is never divided between the parts, also not where several classes have it. Where no class
    has more than one such name, as in class/image_1.npz, the digits only count, and there are no
    sessions.
    """

    name: ClassVar[str] = "event-folder"
    title: ClassVar[str] = "an own folder of recordings"
    licence: ClassVar[str] = "yours"
    instructions: ClassVar[str] = "Name it in data.path: one folder a class, recordings in it."

    def missing(self, folder: Path) -> list[str]:
        """See `Source`."""
        return [] if folder.is_dir() else [f"{folder} is not there"]

    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        """See `EventSource`."""
        named = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
        official = {n: part for n, part in named.items() if (folder / n).is_dir()}
        if not official or not (folder / "train").is_dir():
            every, cut = _by_class(class_folders(folder, READERS))
            return every, _with_sessions(cut, 1, folder)
        names: tuple[str, ...] = ()
        found: list[Sample] = []
        for name, part in official.items():
            classes = class_folders(folder / name, READERS)
            names = names or tuple(classes)
            if odd := set(classes) - set(names):
                raise DataError(f"{folder / name} has the class {min(odd)!r}, which train has not")
            for label, files in classes.items():
                target = names.index(label)
                found += [Sample(file, target, part) for file in files]
        return names, _with_sessions(found, 2, folder)


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


def _absent(folder: Path, names: list[str]) -> list[str]:
    return [f"{folder / name} is not there" for name in names if not (folder / name).exists()]


def _by_class(classes: dict[str, list[Path]]) -> tuple[tuple[str, ...], list[Sample]]:
    return tuple(classes), [
        Sample(file, target) for target, files in enumerate(classes.values()) for file in files
    ]


def _with_sessions(samples: list[Sample], depth: int, root: Path) -> list[Sample]:
    """Samples with the sessions of `EventFolder`; class folders lie `depth` below `root`."""
    between = ["/".join(s.path.relative_to(root).parts[depth:-1]) for s in samples]
    matches = [_SESSION.fullmatch(s.path.stem) for s in samples]
    names = [match[1] if match else None for match in matches]
    by_class: dict[int, set[str | None]] = {}
    for sample, name in zip(samples, names, strict=True):
        by_class.setdefault(sample.target, set()).add(name)
    if all(len(prefixes) == 1 for prefixes in by_class.values()):
        names = [None] * len(samples)
    return [
        replace(sample, session=folder or name)
        for sample, folder, name in zip(samples, between, names, strict=True)
    ]


EVENT_SOURCES: tuple[Source, ...] = (
    NMNIST(),
    NCaltech101(),
    CIFAR10DVS(),
    DVS128Gesture(),
    EventFolder(),
)
