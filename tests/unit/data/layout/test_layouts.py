"""Folders as archives unpack: what are parts, what are classes, and what is refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tempreg.data import DataError, load_dataset
from tempreg.data.base import SPLITS
from tempreg.data.formats.images import IMAGE_SUFFIXES
from tempreg.data.guess import guess
from tempreg.data.layout.layout import Layout, read_layout
from tempreg.data.sources.events import EventFolder
from tests.conftest import CommandLine
from tests.unit.data.formats.recordings.layouts import forty_bit


def lay(
    root: Path, *folders: str, files: int = 3, write: Callable[[Path], None] | None = None
) -> Path:
    """`root` with some files in each folder; what they hold isn't looked at."""
    for folder in folders:
        for i in range(files):
            path = root / folder / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            (write or Path.touch)(path)
    return root


def found(root: Path) -> Layout:
    return read_layout(root, IMAGE_SUFFIXES)


def shape(layout: Layout) -> dict[str, dict[str, int]]:
    return {p: {c: len(files) for c, files in by.items()} for p, by in layout.files.items()}


TWO = {"cat": 3, "dog": 3}
PAIRS = [
    ("Train", "Test"), ("TRAIN", "TEST"), ("training", "testing"), ("Training", "Testing"),
    ("train_set", "test_set"), ("training_set", "test_set"), ("TrainSet", "TestSet"),
    ("trainset", "testset"), ("train-images", "test-images"), ("Training Data", "Test Data"),
    ("seg_train", "seg_test"), ("ibmGestureTrain", "ibmGestureTest"), ("train2017", "test2017"),
    ("asl_alphabet_train", "asl_alphabet_test"), ("mnist-train", "mnist-test"), ("train", "test1"),
    ("imagesTr_train", "imagesTr_test"), ("train", "held_out"), ("train", "holdout"),
]  # fmt: skip


@pytest.mark.parametrize(("train", "test"), PAIRS)
def test_pairs_of_parts(tmp_path: Path, train: str, test: str) -> None:
    lay(tmp_path, *(f"{part}/{name}" for part in (train, test) for name in TWO))
    layout = found(tmp_path)
    assert shape(layout) == {"train": TWO, "test": TWO}
    assert layout.names == {"train": train, "test": test}
    assert (layout.remarks == ()) == ((train, test) == ("train", "test"))


@pytest.mark.parametrize(
    "name",
    ["val", "Val", "VAL", "valid", "validation", "Validation_Set", "eval", "evaluation", "dev",
     "Dev", "devel", "development", "valset"],
)  # fmt: skip
@pytest.mark.parametrize("order", ["{part}/{label}", "{label}/{part}"])
def test_validation_by_its_names(tmp_path: Path, name: str, order: str) -> None:
    for part in ("train", name, "test"):
        lay(tmp_path, *(order.format(part=part, label=label) for label in TWO))
    assert shape(found(tmp_path)) == {"train": TWO, "validation": TWO, "test": TWO}


def test_eval_beside_dev_is_the_test_part(tmp_path: Path) -> None:
    lay(tmp_path, *(f"{part}/{name}" for part in ("train", "dev", "eval") for name in TWO))
    assert found(tmp_path).names == {"train": "train", "validation": "dev", "test": "eval"}


@pytest.mark.parametrize(
    "wrap", ["{}", "own/{}", "own/own/{}", "a/b/c/{}", "hymenoptera_data/hymenoptera_data/{}"]
)
@pytest.mark.parametrize(
    "inside", [("cat", "dog"), ("Train/cat", "Train/dog", "Test/cat", "Test/dog"),
               ("cat/train", "cat/test", "dog/train", "dog/test")]
)  # fmt: skip
def test_wrapping_folders_and_what_systems_leave(
    tmp_path: Path, wrap: str, inside: tuple[str, ...]
) -> None:
    lay(tmp_path, *map(wrap.format, inside))
    (tmp_path / "__MACOSX" / "own" / "Train" / "cat").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "own" / "Train" / "cat" / "._0.png").touch()
    (tmp_path / wrap.format("__MACOSX")).mkdir(exist_ok=True)
    for place in (
        tmp_path,
        (tmp_path / wrap.format(inside[0])),
        (tmp_path / wrap.format("x")).parent,
    ):
        for name in (".DS_Store", "._0.png", "Thumbs.db", "desktop.ini"):
            (place / name).touch()
        (place / "@eaDir").mkdir(exist_ok=True)
        (place / "@eaDir" / "0.png").touch()
        (place / ".ipynb_checkpoints").mkdir(exist_ok=True)
        (place / ".ipynb_checkpoints" / "0.png").touch()
    (tmp_path / "README.txt").touch()
    layout = found(tmp_path)
    assert layout.files["train"].keys() == TWO.keys()
    assert all(shape(layout)[part] == TWO for part in layout.parts)
    assert len(layout.parts) == (1 if inside == ("cat", "dog") else 2)


def test_wrapping_folders_inside_the_parts(tmp_path: Path) -> None:
    lay(tmp_path, "seg_train/seg_train/cat", "seg_train/seg_train/dog", "seg_test/seg_test/cat",
        "seg_test/seg_test/dog")  # fmt: skip
    lay(tmp_path, "seg_pred/seg_pred")
    layout = found(tmp_path)
    assert shape(layout) == {"train": TWO, "test": TWO}
    assert layout.remarks[1].startswith(f"left out, beside the parts: {tmp_path / 'seg_pred'}")


def test_cases_of_classes_may_differ_between_parts(tmp_path: Path) -> None:
    lay(tmp_path, "train/Cat", "train/dog", "test/cat", "test/DOG")
    assert shape(found(tmp_path)) == {p: {"Cat": 3, "dog": 3} for p in ("train", "test")}


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (("train", "bus", "car"), ["bus", "car", "train"]),
        (("freight_train", "steam_train"), ["freight_train", "steam_train"]),
        (("test tube", "train set", "flask"), ["flask", "test tube", "train set"]),
        (("cat/monday", "cat/tuesday", "dog/monday"), ["cat", "dog"]),
        (("evaluate", "developer"), ["developer", "evaluate"]),
        (("attest", "retrain"), ["attest", "retrain"]),
        (("dev_1", "dev_2", "dev_3"), ["dev_1", "dev_2", "dev_3"]),
        (("blood_test", "eye_test"), ["blood_test", "eye_test"]),
        (("0", "1", "2"), ["0", "1", "2"]),
    ],
)
def test_classes_that_look_like_parts(
    tmp_path: Path, folders: tuple[str, ...], classes: list[str]
) -> None:
    lay(tmp_path, *folders)
    layout = found(tmp_path)
    assert (list(layout.files["train"]), layout.names) == (classes, {})


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("Train", "Test"), r"train part \S+Train has no class folders, but files such as 0"),
        (("train/cat", "train/dog", "test"), r"the test part \S+test has no class folders"),
        (("train/cat", "train/dog", "extra"), "has train, which may be parts or classes, beside"),
        (("test/cat", "test/dog", "val/cat", "val/dog"), "test and val, which are parts, and none"),
        (("dev/cat", "dev/dog", "eval/cat"), "has dev and eval, which are parts, and none to tr"),
        (("development/cat", "evaluation/cat"), "which are parts, and none to train on"),
        (("Train/cat", "training/cat", "test/cat"), "Train and training, each of which may be"),
        (("cat", "dog", "test/cat", "test/dog"), "test is no class, for it holds folders of"),
        (("cat", "dog", "odd/cat", "odd/dog"), "odd is no class"),
        (("fold1", "fold2", "fold10"), "fold1, fold10 and fold2, which are folds and no classes"),
        (("cat/train", "cat/test", "dog"), "lay out all classes alike"),
        (("cat/train", "cat/test", "dog/test"), "lay out all classes alike"),
        (("train/cat", "train/dog", "test/cat", "test/owl"), "test part has the class owl, and tr"),
        (("train/cat", "test/cat", "test/owl", "test/emu"), "has the classes emu, owl, and train"),
        (("cat/test", "cat/train", "dog/train", "dog/Train"), "Train and train, each of which"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, folders: tuple[str, ...], words: str) -> None:
    lay(tmp_path, *folders)
    with pytest.raises(DataError, match=words) as caught:
        found(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_files_beside_the_class_folders_are_said(tmp_path: Path) -> None:
    lay(tmp_path, "cat", "dog")
    (tmp_path / "stray.png").touch()
    (tmp_path / "other.png").touch()
    (remark,) = found(tmp_path).remarks
    assert remark == f"left out, in no class folder: {tmp_path / 'other.png'} and 1 more"


def test_a_table_about_folders_is_no_sample(tmp_path: Path) -> None:
    lay(tmp_path, "own/train/cat", "own/train/dog", "own/test/cat", "own/test/dog", "own/notes")
    for place in (".", "own", "own/train"):
        (tmp_path / place / "about.csv").write_text("class,colour\ncat,grey\n")
    layout = read_layout(tmp_path, {*IMAGE_SUFFIXES, ".csv"})
    assert shape(layout) == {"train": TWO, "test": TWO}


def paint(path: Path) -> None:
    pixels = np.random.default_rng(zlib.crc32(str(path).encode())).integers(
        0, 256, (8, 8), dtype=np.uint8
    )
    Image.fromarray(pixels).save(path)


def test_images_by_every_layout_give_the_same_parts(tmp_path: Path) -> None:
    sizes = {}
    for name, order in (
        ("a", "{part}/{label}"),
        ("b", "own/{label}/{part}"),
        ("c", "x/y/{part}/{label}"),
    ):
        for part, files in (("Train", 4), ("Valid", 2), ("Testing", 3)):
            places = [order.format(part=part, label=label) for label in TWO]
            lay(tmp_path / name, *places, files=files, write=paint)
        data = load_dataset("image-folder", num_steps=1, path=tmp_path / name)
        assert any("Testing (test)" in remark for remark in data.remarks)
        sizes[name] = (data.classes, [len(data.split(part)) for part in SPLITS])
        assert guess(tmp_path / name).train == "Train"
    assert set(map(str, sizes.values())) == {str((("cat", "dog"), [8, 4, 6]))}


def test_n_mnist_as_it_unpacks(tmp_path: Path, tempreg_here: CommandLine) -> None:
    events = np.stack([np.arange(40)] + [np.arange(40) % n for n in (30, 20, 2)], axis=1)
    for part, count in (("Train", 4), ("Test", 2)):
        for digit in range(10):
            for i in range(count):
                path = tmp_path / "N-MNIST" / part / str(digit) / f"{i:05}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(forty_bit(events))
    classes, samples = EventFolder().samples(tmp_path)
    assert classes == tuple("0123456789")
    assert [s.part for s in samples].count("test") == 20
    data = load_dataset("nmnist-full", num_steps=1, path=tmp_path, cache=False)  # also so nested
    assert (len(data.train) + len(data.validation), len(data.test)) == (40, 20)
    (tmp_path / "N-MNIST" / "Train" / "7" / "empty.bin").write_bytes(b"")
    answer = tempreg_here("data", "check", "event-folder", "--data", "N-MNIST")
    assert answer.returncode == 1
    assert "Train (train), Test (test)" in answer.stdout
    assert "damaged: 1" in answer.stdout
    guessed = guess(tmp_path)
    assert (guessed.classes, guessed.samples, guessed.train) == (classes, 41, "Train")
