"""`tempreg train --data FOLDER`: what is guessed, what it trains, and folders it can't be."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tempreg.config.own import own_run
from tempreg.data.errors import DataError
from tempreg.data.guess import guess
from tests.conftest import CommandLine, said

SMALL = ("--epochs", "2", "--num-steps", "2", "--model.channels", "[4, 8]")


def record(path: Path, left: bool, seed: int) -> None:
    """100 events in the upper left or the lower right of 34 x 34."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 12, (2, 100)) + (2 if left else 20)
    path.parent.mkdir(parents=True, exist_ok=True)
    t, p = np.sort(rng.integers(0, 9999, 100)), rng.integers(0, 2, 100)
    if path.suffix == ".npy":
        np.save(path, np.stack([t, x, y, p], axis=1))
        return
    columns = [x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]
    path.write_bytes(np.stack(columns, 1).astype(np.uint8).tobytes())


def paint(path: Path, size: tuple[int, int] = (12, 12), value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 0, 0)).save(path)


@pytest.mark.parametrize("parted", [False, True])
def test_recordings_are_guessed_trained_evaluated_and_predicted(
    parted: bool, tmp_path: Path, tempreg: CommandLine, tempreg_here: CommandLine
) -> None:
    parts = {"train": 12, "val": 3, "test": 3} if parted else {".": 16}
    for part, count in parts.items():
        for i in range(2 * count):
            suffix = ".bin" if i % 3 else ".npy"
            place = tmp_path / "own" / part / ("left", "right")[i % 2]
            record(place / f"take {i}{suffix}", i % 2 == 0, i)
    (tmp_path / "own" / next(iter(parts)) / "left" / "notes.txt").write_text("by hand")
    cache = str(tmp_path / "cache")
    first = tempreg_here if parted else tempreg
    done = first("train", "--data", "own", "--out", "run", *SMALL, TEMPREG_CACHE_DIR=cache)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    samples = "24 in train/" if parted else "32 in all parts"
    assert lines[0].startswith(f"own: recordings of 2 classes (left, right), {samples}")
    assert "34 x 34, as recorded" in lines[1]
    assert "csnn [4, 8], T 2, 2 epochs, batches of 4" in lines[2]
    assert lines[3] == "files of other kinds, left out: 1"
    for flag in ("--data.name", "--data.size", "--num-steps", "--epochs", "--batch-size"):
        assert flag in "".join(lines[:3])
    words = ("train", "--data", "own", "--out", "run", "--resume")
    assert "finished already" in tempreg_here(*words, TEMPREG_CACHE_DIR=cache).stdout
    assert tempreg_here("evaluate", "run", TEMPREG_CACHE_DIR=cache).returncode == 0
    record(tmp_path / "new.bin", True, 99)
    answer = tempreg_here("predict", "run", "--json", "new.bin")
    assert answer.returncode == 0, answer.stderr
    prediction = json.loads(answer.stdout)
    assert set(prediction["classes"]) <= {"left", "right"}
    assert len(prediction["confidences"]) == 2


def test_sizes_and_kinds_are_those_of_the_files(tmp_path: Path) -> None:
    for i in range(6):
        paint(tmp_path / "same" / "ab"[i % 2] / f"{i}.png", (20, 12))
        paint(tmp_path / "other" / "ab"[i % 2] / f"{i}.JPG", (100 + i, 80))
    same, other = guess(tmp_path / "same"), guess(tmp_path / "other")
    assert (same.kind, same.classes, same.samples) == ("images", ("a", "b"), 6)
    assert (same.size, same.alike) == ((12, 20), True)
    assert (other.size, other.alike) == ((80, 103), False)
    turned = Image.new("RGB", (20, 12))
    exif = turned.getexif()
    exif[0x0112] = 6  # shown on its side
    for name in "ab":
        (tmp_path / "turned" / name).mkdir(parents=True)
        turned.save(tmp_path / "turned" / name / "0.jpg", exif=exif)
    assert guess(tmp_path / "turned").size == (20, 12)


@pytest.mark.parametrize("samples", [2, 30, 700, 60_000])
@pytest.mark.parametrize("size", [(1, 1), (28, 28), (34, 34), (60, 48), (720, 1280)])
def test_settings_grow_with_the_data_and_fit_the_network(
    samples: int, size: tuple[int, int]
) -> None:
    for kind, most in (("images", 64), ("events", 48)):
        config = own_run("x", kind=kind, samples=samples, size=size, alike=True)
        side = config.data.size or size[0]
        assert side <= most
        assert config.data.size is not None or size[0] == size[1]
        assert config.model.channels is not None
        assert side >> len(config.model.channels) >= min(side // 2, 2)  # each layer halves it
        assert 10 <= config.epochs <= 50
        assert config.batch_size == 4 or samples >= 20 * config.batch_size


def test_folders_that_cannot_be_trained_on_are_said_in_one_sentence(
    tmp_path: Path, tempreg: CommandLine
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    paint(tmp_path / "one" / "a" / "0.png")
    paint(tmp_path / "mixed" / "a" / "0.png")
    record(tmp_path / "mixed" / "b" / "0.bin", True, 0)
    for name in "ab":
        (tmp_path / "words" / name).mkdir(parents=True)
        (tmp_path / "words" / name / "0.txt").write_text("no image")
        (tmp_path / "fake" / name).mkdir(parents=True)
        (tmp_path / "fake" / name / "0.png").write_text("no image")
        (tmp_path / "cut" / name).mkdir(parents=True)
        (tmp_path / "cut" / name / "0.bin").write_bytes(b"1234567")
    (tmp_path / "void" / "a").mkdir(parents=True)
    expected = {
        "absent": "absent is not a folder",
        "file": "file is a file",
        "empty": "empty has no class folders",
        "void": "void/a has no file",
        "one": "one has one class, 'a'",
        "mixed": "mixed holds images and recordings, such as ",
        "words": "words holds no images",
        "fake": "fake/a/0.png is not an image",
        "cut": "cut/a/0.bin",
    }
    for folder, sentence in expected.items():
        with pytest.raises(DataError) as caught:
            guess(tmp_path / folder)
        assert sentence.replace("/", os.sep) in str(caught.value)
    result = tempreg("train", "--data", "mixed", "--out", "run")
    assert result.returncode == 2
    assert len(said(result.stderr)) == 1
    assert expected["mixed"] in result.stderr
    assert not (tmp_path / "run").exists()


def test_images_are_guessed_trained_evaluated_and_predicted(
    tmp_path: Path, tempreg: CommandLine, tempreg_here: CommandLine
) -> None:
    for i in range(24):
        paint(tmp_path / "own" / ("dark", "light")[i % 2] / f"{i}.png", value=40 + 170 * (i % 2))
    done = tempreg("train", "--data", "own", "--out", "run", *SMALL)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("own: images of 2 classes (dark, light), 24 in all parts")
    assert "images 12 x 12, as they are" in lines[1]
    assert tempreg_here("evaluate", "run").returncode == 0
    paint(tmp_path / "new.png", value=30)
    answer = tempreg_here("predict", "run", "--json", "new.png")
    assert answer.returncode == 0, answer.stderr
    assert set(json.loads(answer.stdout)["classes"]) <= {"dark", "light"}
