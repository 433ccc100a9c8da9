"""Folders of files whose labels stand in a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tempreg.data import DataError, load_dataset
from tempreg.data.formats.images import IMAGE_SUFFIXES
from tempreg.data.layout.layout import read_layout
from tempreg.data.sources.events import EventFolder
from tests.unit.data.formats.recordings.layouts import forty_bit

RNG = np.random.default_rng(0)
LABELS = {f"shirt{i}.png": ("cat", "dog")[i % 2] for i in range(8)}


def paint(folder: Path, names: list[str] | dict[str, str] = LABELS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(RNG.integers(0, 256, (5, 5), dtype=np.uint8)).save(folder / name)


def found(root: Path) -> dict[str, dict[str, list[str]]]:
    files = read_layout(root, IMAGE_SUFFIXES).files
    return {p: {c: [f.name for f in fs] for c, fs in by.items()} for p, by in files.items()}


BY_CLASS = {c: [name for name, label in LABELS.items() if label == c] for c in ("cat", "dog")}
TABLES = {
    "PyTorch's tutorial": "\n".join(f"{n}, {c}" for n, c in LABELS.items()),
    "id and label": "id,label\n" + "\n".join(f"{n[:-4]},{c}" for n, c in LABELS.items()),
    "label first": "label;image\n" + "\n".join(f"{c};{n}" for n, c in LABELS.items()),
    "paths and more": "\ufeffpath,width,class\r\n"
    + "\r\n".join(f'"images\\{n}",5,{c}' for n, c in LABELS.items()),
    "one-hot": "filename, cat, dog\n"
    + "\n".join(f"{n}, {int(c == 'cat')}, {int(c == 'dog')}" for n, c in LABELS.items()),
    "a breed": "id,breed\n" + "\n".join(f"{n[:-4]},{c}" for n, c in LABELS.items()),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("place", [".", "images", "train"])
def test_tables_of_labels(tmp_path: Path, table: str, place: str) -> None:
    paint(tmp_path / place)
    (tmp_path / "labels.csv").write_text(TABLES[table], encoding="utf-8")
    (tmp_path / "sample_submission.csv").write_text(TABLES["id and label"].replace("dog", "cat"))
    assert found(tmp_path) == {"train": BY_CLASS}
    data = load_dataset("image-folder", num_steps=1, path=tmp_path)
    assert data.classes == ("cat", "dog")
    assert (
        data.remarks[0] == f"classes, by {tmp_path / 'labels.csv'}: 8 files of {tmp_path / place}"
    )


def test_parts_with_tables(tmp_path: Path) -> None:
    competition, roboflow, mini = (tmp_path / name for name in "abc")
    for part, first in (("train", 0), ("test", 6)):
        names = list(LABELS)[first : first + 6]
        rows = "\n".join(f"{name},{LABELS[name]}" for name in names)
        paint(competition / part, names)
        (competition / f"{part}.csv").write_text("id,label\n" + rows)
        paint(roboflow / part, names)
        (roboflow / part / "_classes.csv").write_text(rows)
        (mini / "images").mkdir(parents=True, exist_ok=True)
        (mini / f"{part}.csv").write_text("filename,label\n" + rows)
    paint(mini / "images")
    expected = {
        "train": {c: [n for n in names if n < "shirt6"] for c, names in BY_CLASS.items()},
        "test": {c: [n for n in names if n >= "shirt6"] for c, names in BY_CLASS.items()},
    }
    for root in (competition, roboflow, mini):
        assert found(root) == expected


def test_traffic_signs_as_they_unpack(tmp_path: Path) -> None:
    """GTSRB: folders of classes with tables of their own to train on, one folder to test on."""
    for sign in ("00000", "00001"):
        place = tmp_path / "GTSRB" / "Final_Training" / "Images" / sign
        paint(place, [f"{i}.ppm" for i in range(3)])
        (place / f"GT-{sign}.csv").write_text("Filename;Width;Roi.X1;ClassId\n0.ppm;5;1;0\n")
    paint(tmp_path / "GTSRB" / "Final_Test" / "Images", ["0.ppm", "1.ppm"])
    table = "Filename;Width;Roi.X1;ClassId\n0.ppm;5;1;00001\n1.ppm;5;1;00000\n"
    (tmp_path / "GTSRB" / "Final_Test" / "GT-final_test.csv").write_text(table)
    assert found(tmp_path)["test"] == {"00000": ["1.ppm"], "00001": ["0.ppm"]}


def test_recordings_with_a_table(tmp_path: Path) -> None:
    t = np.arange(20)
    for i in range(6):
        (tmp_path / f"{i}.bin").write_bytes(forty_bit(np.stack([t, t, t, t % 2], axis=1)))
    (tmp_path / "labels.csv").write_text("".join(f"{i},{10 - i % 2}\n" for i in range(6)))
    classes, samples = EventFolder().samples(tmp_path)
    assert classes == ("9", "10")
    assert [(s.path.name, s.target) for s in samples if s.target == 0] == [
        ("1.bin", 0), ("3.bin", 0), ("5.bin", 0)
    ]  # fmt: skip


def test_recordings_that_are_tables_are_none_of_labels(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.csv").write_text("0,1,2,1\n1,2,3,0\n2,3,3,1\n")
    with pytest.raises(DataError, match="has no class folders"):
        EventFolder().samples(tmp_path)


def test_rows_without_files_and_files_without_rows_are_said(tmp_path: Path) -> None:
    paint(tmp_path / "images", [*LABELS, "more.png"])
    (tmp_path / "l.tsv").write_text(
        "gone.png\tcat\n" + TABLES["PyTorch's tutorial"].replace(", ", "\t")
    )
    (remark,) = read_layout(tmp_path, IMAGE_SUFFIXES).remarks
    assert remark.endswith("; 1 rows name no file there; left out, for it lacks them: 1 files")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("shirt0.png,cat\nshirt0.png,dog", r"labels\.csv, line 2: shirt0\.png is 'cat' above it"),
        ("shirt0.png,cat\nshirt1.png,", "line 2 has no label"),
        ("f,cat,dog\nshirt0.png,1,1\n", r"line 2 has 2 classes for shirt0\.png: there must be one"),
        (
            "f,width,height\nshirt0.png,7,5\n",
            "has 3 columns and none that is called label or class",
        ),
        ("f,cat,dog\nshirt0.png,0,0,1\n", "line 2 has 4 columns, and the heading 3"),
        ("f,cat,dog\n\n\nshirt0.png,1,1\n", "line 4 has 2 classes"),
        ("my,shirts\n5,7,shirt0.png\n", "line 2 has 3 columns, and the heading 2"),
        ("shirt0.png\nshirt1.png\n", "one of the file and one of its label are needed"),
        ("no,such\nfile,here\n", "has no class folders, but files such as shirt0"),
        (b"\xff\xfe\x00shirt0.png,cat", "can't be read as a table"),
    ],
)
def test_tables_that_say_nothing(tmp_path: Path, table: str | bytes, words: str) -> None:
    paint(tmp_path)
    raw = table if isinstance(table, bytes) else table.encode()
    (tmp_path / "labels.csv").write_bytes(raw)
    with pytest.raises(DataError, match=words):
        read_layout(tmp_path, IMAGE_SUFFIXES)


def test_two_tables_that_both_fit(tmp_path: Path) -> None:
    paint(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(TABLES["id and label"])
    with pytest.raises(DataError, match=r"a\.csv and \S+b\.csv both name files"):
        read_layout(tmp_path, IMAGE_SUFFIXES)


def test_labels_of_any_number_of_digits(tmp_path: Path) -> None:
    paint(tmp_path)
    labels = ["7", "10", "9" * 5000, "07"]
    rows = "".join(f"{name},{label}\n" for name, label in zip(LABELS, labels, strict=False))
    (tmp_path / "labels.csv").write_text(rows)
    assert [*found(tmp_path)["train"]] == ["07", "7", "10", "9" * 5000]
