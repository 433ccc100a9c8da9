"""`tempreg data`, as a person calls it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tempreg.cli.main import main
from tests.conftest import said
from tests.unit.data.formats.recordings.layouts import forty_bit

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def recording(path: Path, events: int = 50, x: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(events)
    path.write_bytes(forty_bit(np.stack([t, t * 0 + x, t % 30, t % 2], axis=1)))


def rows(text: str) -> dict[str, list[int]]:
    """The table of counts, by class."""
    lines = [line.split() for line in text.splitlines()[1:] if ":" not in line]
    return {name: [int(n.replace(",", "")) for n in counts] for name, *counts in lines}


def test_list_says_what_is_where(tmp_path: Path, tempreg: Command) -> None:
    for part in ("Train", "Test"):
        for digit in range(10):
            (tmp_path / "nmnist-full" / part / str(digit)).mkdir(parents=True)
    answer = tempreg("data", "list", TEMPREG_DATA=str(tmp_path))
    assert answer.returncode == 0
    lines = answer.stdout.splitlines()
    starts = {line.split()[0]: i for i, line in enumerate(lines) if not line.startswith(" ")}
    assert {"nmnist", "nmnist-full", "cifar10-dvs", "event-folder"} <= starts.keys()

    def state(name: str) -> str:
        return lines[starts[name] + 1].strip()

    assert "CC BY-SA 4.0" in lines[starts["nmnist"]]
    assert state("nmnist") == "complete: ships with tempreg"
    assert state("nmnist-full") == f"complete: {tmp_path / 'nmnist-full'}"
    missing = f"not complete: {tmp_path / 'cifar10-dvs' / 'airplane'} is not there (and 9 more)"
    assert state("cifar10-dvs") == missing
    assert lines[starts["cifar10-dvs"] + 2].strip() == "to get it: tempreg data fetch cifar10-dvs"
    assert "Caltech101.zip" in lines[starts["n-caltech101"] + 2]


def test_check_counts_what_ships(tempreg: Command) -> None:
    answer = tempreg("data", "check", "nmnist")
    assert (answer.returncode, said(answer.stderr)) == (0, [])
    counts = rows(answer.stdout)
    assert counts.pop("all") == [700, 100, 300]
    assert np.sum(list(counts.values()), axis=0).tolist() == [700, 100, 300]
    assert "size: 2 x 34 x 34" in answer.stdout
    assert "damaged: 0" in answer.stdout


def test_check_names_every_damaged_recording_and_goes_on(tmp_path: Path, tempreg: Command) -> None:
    folder = tmp_path / "set"
    for part, number in (("Train", 4), ("Test", 2)):
        for digit in range(10):
            for i in range(number):
                recording(folder / part / str(digit) / f"{i}.bin")
    bad = [folder / "Train/3/1.bin", folder / "Test/7/0.bin", folder / "Test/9/1.bin"]
    bad[0].write_bytes(b"1234567")
    bad[1].write_bytes(b"")
    recording(bad[2], x=34)
    answer = tempreg("data", "check", "nmnist-full", "--data.path", "set")
    assert answer.returncode == 1
    errors = said(answer.stderr)
    assert len(errors) == 3
    for error, path in zip(errors, bad, strict=True):
        assert error.startswith(f"tempreg: {path.relative_to(tmp_path)}")
    assert "event 0 has x = 34, outside 0 ... 33" in errors[2]
    counts = rows(answer.stdout)
    total = np.array(counts.pop("all"))
    assert total.tolist() == np.sum(list(counts.values()), axis=0).tolist()
    assert total.sum() == 57
    assert total[2] == 18
    assert (counts["7"][2], counts["9"][2], counts["8"][2]) == (1, 1, 2)
    assert f"{57 * 50:,} events" in answer.stdout
    assert "files: 60," in answer.stdout
    assert "damaged: 3" in answer.stdout
    for path in bad:
        recording(path)
    answer = tempreg("data", "check", "nmnist-full", "--data", "set")
    assert (answer.returncode, said(answer.stderr)) == (0, [])


def test_check_of_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "n-caltech101", "--data", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert f"{tmp_path / 'Caltech101'} is not there" in error
    assert "https://www.garrickorchard.com" in error
    (tmp_path / "own" / "empty").mkdir(parents=True)
    assert main(["data", "check", "event-folder", "--data", str(tmp_path / "own")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"tempreg: the class folder {tmp_path / 'own' / 'empty'} has no file")


def test_wrong_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "nmnst"]) == 2
    assert "there is no data set 'nmnst'" in (error := capsys.readouterr().err)
    assert "nmnist" in error
    assert main(["data", "check", "nmnist", "--data", "here"]) == 2
    assert "ships with tempreg: leave the folder out" in capsys.readouterr().err
    assert main(["data", "fetch", "nmnist"]) == 0
    assert "ships with tempreg: nothing to fetch" in capsys.readouterr().out
    for words in (["data"], ["data", "mend"], ["data", "fetch"]):
        with pytest.raises(SystemExit, match="2"):
            main(words)
        assert "--help)" in capsys.readouterr().err
