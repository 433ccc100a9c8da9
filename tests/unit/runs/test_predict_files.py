"""Predictions of files that aren't as those that were trained on, of folders, and over time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tempreg.cli.main import main
from tempreg.config import RunConfig
from tempreg.data import DataError, Recording, write_recording
from tempreg.data.sources.embedded import nmnist_recordings
from tempreg.runs import load_run, train
from tempreg.runs.predict import predictor

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run(tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict") / "run"
    train(replace(tiny, epochs=1), folder)
    return folder


@pytest.fixture(scope="module")
def digits() -> list[Recording]:
    recordings, _, part = nmnist_recordings()
    found = []
    for index in np.flatnonzero(part == 2)[:5]:
        one = recordings[index : index + 1]
        found.append(Recording(*(getattr(one, n).astype(np.int64) for n in "txyp"), (34, 34)))
    return found


def after(recordings: list[Recording], ms: int) -> Recording:
    """One after another, each at a whole multiple of `ms`."""
    t = [r.t - r.t[0] + k * ms * 1000 for k, r in enumerate(recordings)]
    x, y, p = (np.concatenate([getattr(r, name) for r in recordings]) for name in "xyp")
    return Recording(np.concatenate(t), x, y, p, (34, 34))


def test_data_json_keeps_how_long_and_busy_recordings_are(run: Path) -> None:
    held = json.loads((run / "data.json").read_text())["reading"]["extent"]
    recordings, _, _ = nmnist_recordings()
    ends = recordings.offsets[1:]
    lasts = [int(recordings.t[b - 1]) - int(recordings.t[a]) + 1
             for a, b in zip(recordings.offsets[:-1], ends, strict=True)]  # fmt: skip
    assert held["microseconds"] == [min(lasts), max(lasts)]
    sizes = np.diff(recordings.offsets)
    assert held["events"] == [sizes.min(), sizes.max()]


def test_what_is_far_from_training_is_said(
    run: Path, digits: list[Recording], tmp_path: Path, capsys: Said
) -> None:
    one = digits[0]
    long = Recording(one.t * 60, one.x, one.y, one.p, one.sensor_size)
    short = Recording(one.t // 60, one.x, one.y, one.p, one.sensor_size)
    few = Recording(*(getattr(one, n)[[0, -1]] for n in "txyp"), one.sensor_size)
    busy = Recording(*(np.repeat(getattr(one, n), 30) for n in "txyp"), one.sensor_size)
    for name, made, words in (
        ("long", long, "lasts 18.5"),
        ("short", short, "lasts 5."),
        ("few", few, "has 2 events, and what was trained on"),
        ("busy", busy, f"has {30 * len(one.t):,} events, and what was trained on"),
        ("one", one, ""),
    ):
        path = tmp_path / f"{name}.npz"
        write_recording(path, made)
        assert main(["predict", str(run), str(path)]) == 0
        said = capsys.readouterr()
        assert bool(said.err) == bool(words), name
        assert words in said.err
        assert ("tempreg data cut" in said.err) == (name == "long")
        assert said.out.count("<- the answer") == 1
        assert said.out.splitlines()[-1].endswith("<- the answer")


def test_windows_answer_as_their_files_do(
    run: Path, digits: list[Recording], tmp_path: Path, capsys: Said
) -> None:
    """Three digits, a pause of one window, two digits: each window is as its own file."""
    ms = 330
    whole = after(digits, ms)
    pause = whole.t >= 3 * ms * 1000
    whole = replace(whole, t=whole.t + pause * ms * 1000)
    path = tmp_path / "long.npz"
    write_recording(path, whole)
    predict = predictor(run)
    windows = list(predict.windows(path, ms))
    assert [w.events > 0 for w in windows] == [True, True, True, False, True, True]
    assert sum(w.events for w in windows) == len(whole.t)
    assert [round(w.start, 6) for w in windows] == [0, 0.33, 0.66, 0.99, 1.32, 1.65]
    answers = [w.prediction for w in windows if w.prediction is not None]
    for digit, answer in zip(digits, answers, strict=True):
        write_recording(tmp_path / "one.npz", digit)
        alone = predict(tmp_path / "one.npz")
        assert answer.classes == alone.classes
        assert np.allclose(answer.confidences, alone.confidences, atol=1e-6)
    assert main(["predict", str(run), str(path), "--window", str(ms)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert lines[4] == "      0.990 to 1.320 s  no event"
    assert lines[1].startswith(f"      0.000 to 0.330 s  {answers[0].ranking[0][0]} ")
    assert lines[-1].startswith("  of 6 windows: ")
    assert main(["predict", str(run), str(path), "--window", str(ms), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["events"] for row in rows] == [w.events for w in windows]
    assert "answer" not in rows[3]
    assert main(["predict", str(run), str(path), "--window", "5000"]) == 0
    assert "windows of 5 s, and what was trained on lasts" in capsys.readouterr().err
    assert main(["predict", str(run), str(path), "--window", "0"]) == 1
    assert "--window must be >= 0.001" in capsys.readouterr().err
    with pytest.raises(DataError, match="windows: take longer"):
        next(iter(predict.windows(path, 0.001)))


def test_folders_and_the_likeliest(
    run: Path, digits: list[Recording], tmp_path: Path, capsys: Said
) -> None:
    for index, digit in enumerate(digits[:3]):
        (tmp_path / "in" / f"{index % 2}").mkdir(parents=True, exist_ok=True)
        write_recording(tmp_path / "in" / f"{index % 2}" / f"{index}.npz", digit)
    (tmp_path / "in" / "notes.txt").write_text("no recording")
    assert main(["predict", str(run), str(tmp_path / "in"), "--top", "3"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [Path(line.split()[0]).name for line in lines] == ["0.npz", "2.npz", "1.npz"]
    assert all(line.count("%") == 3 for line in lines)
    assert "1 other file" in said.err
    _, data, network, _ = load_run(run)
    with torch.no_grad():
        shares = network(data.test.inputs(torch.tensor([0]))).mean(0).softmax(-1)[0]
    best = shares.sort(descending=True)
    ranked = ", ".join(
        f"{data.classes[i]} {v:.1%}"
        for i, v in zip(best.indices[:3].tolist(), best.values[:3].tolist(), strict=True)
    )
    assert lines[0].endswith(f"  {ranked}")
    (tmp_path / "none").mkdir()
    assert main(["predict", str(run), str(tmp_path / "none")]) == 1
    assert "holds no recording" in capsys.readouterr().err
