"""Damaged files: each said by `data check`, left out and counted where that is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tempreg.cli.main import main
from tempreg.data import DataError, load_dataset
from tempreg.data.base import SPLITS

Said = pytest.CaptureFixture[str]


def pictures(folder: Path) -> Path:
    """Two classes of twelve, of which three can't be read; and a note that is no picture."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}{name}.png")
    for name in ("cat/3cat", "cat/7cat", "dog/0dog"):
        (folder / f"{name}.png").write_bytes(b"no picture")
    (folder / "cat" / "notes.txt").write_text("no picture either")
    (folder / "cat" / ".hidden").write_text("")
    return folder


def test_check_says_each_and_goes_on_to_the_table(tmp_path: Path, capsys: Said) -> None:
    assert main(["data", "check", "image-folder", "--data", str(pictures(tmp_path))]) == 1
    said = capsys.readouterr()
    names = [line.split("/")[-1].split(" ")[0] for line in said.err.splitlines()]
    assert sorted(names) == ["0dog.png", "3cat.png", "7cat.png"]
    (row,) = [line for line in said.out.splitlines() if line.startswith("all ")]
    assert sum(map(int, row.split()[1:])) == 21
    assert "files: 24, " in said.out
    assert "other files, not read: 1 (" in said.out
    assert "damaged: 3" in said.out


def test_damaged_pictures_are_skipped_and_counted(tmp_path: Path, capsys: Said) -> None:
    folder, run = pictures(tmp_path / "data"), tmp_path / "run"
    words = ["train", "--data", str(folder), "--out", str(run), "--epochs", "1"]
    small = ["--model.channels", "[4]", "--num-steps", "1"]
    assert main([*words, *small]) == 2
    assert "is not an image" in capsys.readouterr().err
    assert main([*words, *small, "--skip-damaged", "true"]) == 0
    said = capsys.readouterr()
    assert "skipped, for they can't be used: 3 (" in said.out + said.err
    held = json.loads((run / "data.json").read_text())
    assert len(held["skipped"]) == 3
    assert all("is not an image" in fault for fault in held["skipped"])
    assert any(remark.startswith("skipped") for remark in held["remarks"])


def test_nothing_else_changes_where_a_file_is_skipped(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    skipping = load_dataset("image-folder", num_steps=1, path=folder, skip_damaged=True)
    for name in ("cat/3cat", "cat/7cat", "dog/0dog"):
        (folder / f"{name}.png").unlink()
    plain = load_dataset("image-folder", num_steps=1, path=folder)
    for split in SPLITS:
        ours, theirs = skipping.split(split), plain.split(split)
        assert ours.targets.equal(theirs.targets)
        assert ours.inputs(ours.ids).equal(theirs.inputs(theirs.ids))
    assert repr(plain) == (
        "<DataSet image-folder: train 17, validation 2, test 2; 2 classes (cat, dog); 1 x 8 x 8>"
    )
    assert repr(plain.test) == "<ArraySplit: 2 samples, by class 1, 1>"


@pytest.mark.parametrize("cache", [True, False])
def test_damaged_and_silent_recordings_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: bool
) -> None:
    monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path / "cache"))
    for name in "ab":
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(9):
            rows = [[5 * i, (i * index) % 9, i % 7, i % 2] for i in range(30)]
            np.save(tmp_path / "data" / name / f"{index}{name}.npy", np.array(rows))
    np.save(tmp_path / "data" / "a" / "2a.npy", np.array([[0, 1, 1, 5]]))
    (tmp_path / "data" / "b" / "3b.npy").write_bytes(b"")
    (tmp_path / "data" / "b" / "still.csv").write_text("t,x,y,p\n")
    options = {"num_steps": 2, "path": tmp_path / "data", "cache": cache}
    with pytest.raises(DataError):
        load_dataset("event-folder", **options)
    data = load_dataset("event-folder", **options, skip_damaged=True)
    assert sum(len(data.split(name)) for name in SPLITS) == 16
    assert len(data.skipped) == 3
    assert ["2a.npy: event 0 has p = 5" in fault for fault in data.skipped] == [True, False, False]
    assert "holds no event" in data.skipped[2]
