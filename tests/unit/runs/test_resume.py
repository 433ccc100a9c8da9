"""Runs that were stopped, damaged or tampered with, and what becomes of them."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tempreg.config import RunConfig, config_text
from tempreg.runs import load_run, train
from tempreg.training.checkpoint import (
    CheckpointError,
)
from tempreg.training.evaluate import Evaluation
from tempreg.training.interrupt import Interrupted
from tempreg.training.progress import Reporter
from tempreg.training.run_directory import RunDirectory, RunDirectoryError
from tests.conftest import needs_compiler, same_weights


class StopAfter(Reporter):
    """Sends this process Ctrl-C in the middle of an epoch."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def step(self, samples: int, running: Evaluation) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


def test_leftovers_of_another_run_are_not_taken_over(tiny: RunConfig, tmp_path: Path) -> None:
    train(tiny, tmp_path / "run")
    for name in ("config.yaml", "summary.json", "model.safetensors"):
        (tmp_path / "run" / name).unlink()
    with pytest.raises(RunDirectoryError, match="not an empty folder"):
        train(replace(tiny, seed=5), tmp_path / "run")
    with pytest.raises(RunDirectoryError, match="not an empty folder"):
        train(replace(tiny, seed=5), tmp_path / "run", resume=True)


def test_a_run_killed_before_its_config_was_written_starts_again(
    tiny: RunConfig, tmp_path: Path
) -> None:
    begun = tmp_path / "run"
    (begun / "checkpoints").mkdir(parents=True)
    (begun / ".lock").touch()
    (begun / "environment.json").write_text("{}")
    (begun / ".config.yaml.abc.tmp").write_text("half")
    train(replace(tiny, epochs=1), begun)
    assert not list(begun.rglob("*.tmp"))


def test_metrics_written_before_a_kill_are_not_doubled(tiny: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(25))
    run = RunDirectory(tmp_path / "run")
    run.append_metrics(epoch=2, split="train", loss=1.0)  # as if killed before the checkpoint
    with run.metrics.open("a") as file:
        file.write('{"epoch": 2, "spl')
    train(tiny, run.path, resume=True)
    assert [v["epoch"] for v in run.read_metrics()] == [1, 1, 2, 2]


def test_going_on_elsewhere_is_noted(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(5))
    before = json.loads((tmp_path / "run" / "environment.json").read_text())
    monkeypatch.setattr("tempreg.runs.fit.resolve_backend", lambda *_: "elsewhere")
    with pytest.warns(UserWarning, match="and goes on with elsewhere"):
        train(tiny, tmp_path / "run", resume=True)
    after = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert after["backend"] == "elsewhere"
    assert [e["backend"] for e in after["earlier"]] == [before["backend"]]


def test_settings_edited_behind_a_runs_back_are_noticed(tiny: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(5))
    edited = replace(tiny, epochs=1)
    (tmp_path / "run" / "config.yaml").write_text(config_text(edited))
    with pytest.raises(CheckpointError, match="other settings"):
        train(edited, tmp_path / "run", resume=True)
    (tmp_path / "run" / "config.yaml").write_text(config_text(tiny))
    train(tiny, tmp_path / "run", resume=True)
    (tmp_path / "run" / "config.yaml").write_text(config_text(edited))
    with pytest.raises(RunDirectoryError, match="other settings"):
        train(edited, tmp_path / "run", resume=True)


def test_going_on_without_a_checkpoint_is_said(tiny: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(25))
    (tmp_path / "run" / "checkpoints" / "last.pt").unlink()
    with pytest.warns(UserWarning, match="starts again from the first epoch"):
        train(tiny, tmp_path / "run", resume=True)
    assert len(RunDirectory(tmp_path / "run").read_metrics()) == 4


@pytest.mark.parametrize("content", ["nonsense\n", "{}\n", "[1]\n"])
def test_damaged_metrics(tiny: RunConfig, tmp_path: Path, content: str) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(25))
    (tmp_path / "run" / "metrics.jsonl").write_text(content)
    with pytest.raises(RunDirectoryError, match=r"metrics\.jsonl is damaged"):
        train(tiny, tmp_path / "run", resume=True)


@pytest.mark.parametrize("batches", [5, 22, 44])
def test_ctrl_c_leaves_a_run_that_ends_the_same(
    tiny: RunConfig, tmp_path: Path, batches: int
) -> None:
    train(tiny, tmp_path / "whole")
    with pytest.raises(Interrupted, match="continue with: tempreg train --resume"):
        train(tiny, tmp_path / "cut", reporter=StopAfter(batches))
    assert not (tmp_path / "cut" / "summary.json").exists()
    train(tiny, tmp_path / "cut", resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "cut")
    metrics = [
        [
            {k: v for k, v in line.items() if k != "seconds"}
            for line in RunDirectory(p).read_metrics()
        ]
        for p in (tmp_path / "whole", tmp_path / "cut")
    ]
    assert metrics[0] == metrics[1]


def test_folders_that_cannot_be_used(tiny: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    with pytest.raises(RunDirectoryError, match="not an empty folder"):
        train(tiny, tmp_path / "notes")
    with pytest.raises(RunDirectoryError, match="not an empty folder"):
        train(tiny, tmp_path / "notes" / "mine.txt")
    assert [p.name for p in (tmp_path / "notes").iterdir()] == ["mine.txt"]
    with pytest.raises(RunDirectoryError, match="holds no run"):
        load_run(tmp_path / "notes")


@needs_compiler
def test_sparse_convolutions_repeat_and_go_on_bit_for_bit(tiny: RunConfig, tmp_path: Path) -> None:
    sparse = replace(tiny, conv="sparse")
    for name in ("one", "same"):
        train(sparse, tmp_path / name)
    with pytest.raises(Interrupted):
        train(sparse, tmp_path / "stopped", reporter=StopAfter(25))
    train(sparse, tmp_path / "stopped", resume=True)
    assert same_weights(tmp_path / "one", tmp_path / "same")
    assert same_weights(tmp_path / "one", tmp_path / "stopped")
    record = json.loads((tmp_path / "stopped" / "environment.json").read_text())
    assert record["conv"] == "sparse"
    assert not record.get("earlier")


@needs_compiler
def test_another_way_to_run_convolutions_is_told(tiny: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(5))
    record = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert record.pop("conv") == "dense"
    (tmp_path / "run" / "environment.json").write_text(json.dumps(record))  # as versions before had
    with pytest.warns(UserWarning, match="with convolutions dense and goes on with auto: its weig"):
        train(replace(tiny, conv="auto"), tmp_path / "run", resume=True)
