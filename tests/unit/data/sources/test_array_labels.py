"""Labels and arrays of .npz files as other tools write them, held to numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tempreg.data import DataError, DataSet, load_dataset
from tempreg.data.base import SPLITS
from tempreg.data.sources.array_names import images_and_labels
from tempreg.data.sources.labels import read_labels

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 6, 6), dtype=np.uint8)
Y = np.arange(40) % 4
ONE_HOT = np.eye(4)[Y]
FORMS = {
    "column": Y[:, None], "row": Y[None], "deep column": Y[:, None, None], "uint8": Y.astype("u1"),
    "big-endian": Y.astype(">i8"), "uint64": Y.astype("u8"), "float64": Y.astype(float),
    "float32 column": Y.astype("f4")[:, None], "float16": Y.astype("f2"),
    "one-hot": ONE_HOT, "one-hot uint8": ONE_HOT.astype("u1"), "one-hot bool": ONE_HOT > 0,
    "one-hot float32": ONE_HOT.astype("f4"), "text": np.array(list("0123"))[Y],
    "text column": np.array(list("0123"))[Y][:, None], "bytes": np.array(list("0123"), "S1")[Y],
}  # fmt: skip


def load(path: Path, **arrays: np.ndarray) -> DataSet:
    np.savez(path / "own.npz", **arrays)
    return load_dataset("npz", num_steps=1, path=path / "own.npz")


def targets(data: DataSet) -> list[list[int]]:
    return [data.split(name).targets.tolist() for name in SPLITS]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_same(tmp_path: Path, form: str) -> None:
    found, plain = load(tmp_path, x=X, y=FORMS[form]), load(tmp_path, x=X, y=Y)
    assert (targets(found), found.classes) == (targets(plain), tuple("0123"))


@given(hnp.arrays(np.int64, st.integers(2, 30), elements=st.integers(0, 9)), st.integers(0, 5))
def test_one_hot_is_what_numpy_says(labels: np.ndarray, more: int) -> None:
    width = int(labels.max()) + 2 + more
    found = read_labels(np.eye(width, dtype=np.float32)[labels], "y")
    assert found.indices.tolist() == labels.tolist()
    assert found.width == width
    assert read_labels(labels.astype(np.float32)[:, None], "y").indices.tolist() == labels.tolist()
    text = labels.astype(str)
    found = read_labels(text, "y")
    assert [(found.names or ())[i] for i in found.indices] == text.tolist()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (Y + 0.5, r"own\.npz, y: labels must be a list of whole numbers .*; label 0 is 0\.5"),
        (np.where(Y == 2, np.nan, Y), "label 2 is nan"),
        (np.where(Y == 3, np.inf, Y), "label 3 is inf"),
        (np.where(Y == 1, 1e300, Y), r"label 1 is 1e\+300"),
        (
            (ONE_HOT + np.eye(4)[1]) > 0,
            r"row 0 is \[1, 1, 0, 0\] with 2 ones, so an image would hav",
        ),
        (ONE_HOT * 0, r"row 0 is \[0, 0, 0, 0\] with 0 ones"),
        (ONE_HOT * 2, r"row 0 is \[2, 0, 0, 0\] with 0 ones"),
        (ONE_HOT * 0.9 + 0.02, r"label 0 is 0\.92"),
        (Y + 1j, "this is complex128 of the shape"),
        (np.zeros((40, 4, 2)), r"this is float64 of the shape \(40, 4, 2\)"),
        (np.uint64(2**63) + Y.astype("u8"), "label 0 is 9223372036854775808"),
        (Y.astype("M8[s]"), "this is datetime64"),
        (Y[:39, None], "40 images but 39 labels"),
    ],
)
def test_labels_that_say_nothing(tmp_path: Path, labels: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load(tmp_path, x=X, y=labels)


def test_text_gives_the_classes_and_must_be_among_those_given(tmp_path: Path) -> None:
    names = np.array(["owl", "cat", "dog", "emu"])
    data = load(tmp_path, x=X, y=names[Y], x_test=X[:4], y_test=np.array(["cat", "owl"] * 2))
    assert data.classes == ("cat", "dog", "emu", "owl")
    assert data.test.targets.tolist() == [0, 3, 0, 3]
    data = load(tmp_path, x=X, y=names[Y], classes=names)
    assert data.classes == tuple(names)
    with pytest.raises(DataError, match="the train label 'owl' is none of its classes"):
        load(tmp_path, x=X, y=names[Y], classes=names[1:])
    with pytest.raises(DataError, match="text in some parts and numbers in others"):
        load(tmp_path, x=X, y=names[Y], x_test=X, y_test=Y)


def test_a_class_of_one_hot_rows_without_samples_is_still_one(tmp_path: Path) -> None:
    assert load(tmp_path, x=X, y=np.eye(6)[Y]).classes == tuple("012345")


NAMES = [
    ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
    ("X_train", "Y_train", "X_valid", "Y_valid", "X_test", "Y_test"),
    ("Xtrain", "ytrain", "Xval", "yval", "Xtest", "ytest"),
    ("train_x", "train_y", "validation_x", "validation_y", "test_x", "test_y"),
    ("trainX", "trainY", "valX", "valY", "testX", "testY"),
    ("train_data", "train_labels", "valid_data", "valid_labels", "test_data", "test_labels"),
    ("training_images", "training_targets", "dev_images", "dev_targets", "testing_images",
     "testing_targets"),
    ("imgs_train", "label_train", "imgs_eval", "label_eval", "imgs_test", "label_test"),
    ("images", "labels", "images_val", "labels_val", "images_test", "labels_test"),
]  # fmt: skip


@pytest.mark.parametrize("names", NAMES)
def test_arrays_of_parts_by_their_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    """As MedMNIST has them, [N, 1], Keras, and others."""
    arrays = {}
    for i in range(3):
        arrays[names[2 * i]] = X[10 * i : 10 * i + 10 + i]
        arrays[names[2 * i + 1]] = Y[10 * i : 10 * i + 10 + i, None].astype(np.uint8)
    data = load(tmp_path, **arrays)
    assert [len(data.split(name)) for name in SPLITS] == [10, 11, 12]
    assert targets(data) == [Y[:10].tolist(), Y[10:21].tolist(), Y[20:32].tolist()]
    reading = data.reading
    assert reading is not None
    x = data.test.inputs(torch.arange(12))
    assert isinstance(reading.scale, tuple)
    assert isinstance(reading.offset, tuple)
    assert np.array_equal(((x - reading.offset[0]) / reading.scale[0]).round()[:, 0], X[20:32])


def test_arrays_without_parts_by_their_names(tmp_path: Path) -> None:
    plain = load(tmp_path, x=X, y=Y)
    for x, y in (("X", "Y"), ("data", "target"), ("data", "labels"), ("image", "label"),
                 ("inputs", "targets"), ("arr_0", "arr_1"), ("arr_1", "arr_0")):  # fmt: skip
        assert targets(load(tmp_path, **{x: X, y: Y})) == targets(plain)
    digits = load(tmp_path, data=X.reshape(40, 36), images=X, target=Y, target_names=np.arange(4))
    assert (targets(digits), digits.classes) == (targets(plain), tuple("0123"))
    more = load(tmp_path, x=X, y=Y, ids=Y, x_mean=X[0])
    assert more.remarks == ("arrays left out: ids, x_mean",)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("x images y", "has x and images, each of which may be the images of its train part"),
        ("x x_train y y_train", "has x and x_train, each of which"),
        ("x y labels", "has y and labels, each of which may be the labels of its train part"),
        ("x y x_val x_valid y_val", "may be the images of its validation part"),
        ("x y x_test", "lacks y of its test part: it has x, y, x_test"),
        ("x_test y_test", "lacks y of its train part|lacks x of its train part"),
        ("image_ids label_names", "lacks x of its train part|lacks y of its train part"),
        ("arr_0 arr_1 arr_2 arr_3", "lacks y of its train part: it has arr_0, arr_1, arr_2"),
    ],
)
def test_arrays_that_may_be_either(names: str, words: str) -> None:
    arrays = {name: (X if name[0] in "xi" else Y) for name in names.split()}
    with pytest.raises(DataError, match=words):
        images_and_labels(arrays, "own.npz")


@pytest.mark.parametrize("values", [X.astype(np.float32), X > 99, X.astype(np.float64)])
def test_pixels_as_floats_of_0_to_255_and_as_bits(tmp_path: Path, values: np.ndarray) -> None:
    found = load(tmp_path, x=values, y=Y)
    plain = load(tmp_path, x=X if values.dtype != bool else values * np.uint8(255), y=Y)
    every = torch.arange(len(found.train))
    assert torch.equal(found.train.inputs(every), plain.train.inputs(every))
