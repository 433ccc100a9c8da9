"""The audit of a run: its network, and how it came by its numbers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tempreg.cli.main import main
from tempreg.config import PRESETS
from tempreg.data import DataSet
from tempreg.data.base import ArraySplit
from tempreg.runs.protocol import protocol

OLD = Path(__file__).parents[2] / "data" / "old_run"


def test_a_finished_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    code = main(["audit", "run", "--allow", "run-splits"])
    told = capsys.readouterr().out
    assert code == 0, told
    made = json.loads(Path("run/audit.json").read_text())
    assert set(made["checks"]) > {"batch", "run-test", "run-splits", "run-choice"}
    assert made["checks"]["run-choice"]["sentence"].startswith("the last epoch was kept")
    assert "Run-test" in Path("run/audit.html").read_text()
    assert main(["audit", "run", "--input", "4,2,6"]) == 2
    assert "--input is for code" in capsys.readouterr().err


def data(test: torch.Tensor, sessions: list[int] | None = None) -> DataSet:
    x = torch.arange(24.0).view(6, 1, 2, 2)
    return DataSet(
        name="made",
        train=ArraySplit(x[:4], torch.zeros(4)),
        validation=ArraySplit(x[4:], torch.zeros(2)),
        test=ArraySplit(test, torch.zeros(len(test))),
        classes=("a",),
        in_channels=1,
        input_size=(2, 2),
        sessions=None if sessions is None else torch.tensor(sessions),
    )


def test_items_in_two_parts_are_found_by_what_they_hold(tmp_path: Path) -> None:
    config = PRESETS["nmnist-trt"]()
    new, old = torch.full((2, 1, 2, 2), -1.0), torch.arange(4.0).view(1, 1, 2, 2)
    apart = protocol(tmp_path, config, data(new))
    assert all(check.passed for check in apart.values())
    check = protocol(tmp_path, config, data(torch.cat([new, old])))["run-splits"]
    assert not check.passed
    assert check.size == pytest.approx(1 / 3)
    assert "1 of test are in train, too" in check.sentence


def test_divided_sessions_and_choices_on_test(tmp_path: Path) -> None:
    new = torch.full((2, 1, 2, 2), -1.0)
    config = PRESETS["nmnist-trt"]()
    fine = protocol(tmp_path, config, data(new, [0, 0, 1, 1, 2, 2, 3, 3]))
    assert fine["run-sessions"].passed
    shared = protocol(tmp_path, config, data(new, [0, 0, 1, 1, 2, 2, 1, 3]))["run-sessions"]
    assert not shared.passed
    assert "1 in train and test" in shared.sentence
    on_test = replace(config, keep="best-on-test", data=replace(config.data, validation=0.0))
    chosen = protocol(tmp_path, on_test, data(new))
    assert not chosen["run-choice"].passed
    assert not chosen["run-test"].passed
