"""What TensorBoard reads back of a run is what metrics.jsonl says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tempreg.config import RunConfig
from tempreg.errors import PackageMissing
from tempreg.runs import train
from tempreg.training import board, loop
from tempreg.training.interrupt import Interrupted
from tempreg.training.run_directory import RunDirectory
from tests.conftest import same_weights
from tests.unit.runs.test_resume import StopAfter

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read_back(run: Path) -> dict[tuple[str, int], float]:
    """(tag, step) -> value; each of them once."""
    events = accumulator.EventAccumulator(str(run / board.FOLDER))
    events.Reload()
    found = [(tag, event) for tag in events.Tags()["scalars"] for event in events.Scalars(tag)]
    values = {(tag, event.step): event.value for tag, event in found}
    assert len(values) == len(found)
    return values


def in_metrics(run: Path) -> dict[tuple[str, int], float]:
    """The same from metrics.jsonl, taken apart in another way."""
    wanted: dict[tuple[str, int], float] = {}
    for line in RunDirectory(run).read_metrics():
        epoch, split = line.pop("epoch"), line.pop("split")
        for t, value in enumerate(line.pop("accuracy_per_step"), 1):
            wanted[f"{split}/accuracy_per_step/{t}", epoch] = value
        for name, value in line.items():
            wanted[f"{split}/{name}", epoch] = value
    return {place: float(np.float32(value)) for place, value in wanted.items()}


def test_scalars_are_those_of_metrics(tiny: RunConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(replace(tiny, tensorboard=True), run)
    values = read_back(run)
    assert values == in_metrics(run)
    assert {"train/loss", "train/penalty", "validation/accuracy", "train/lr"} <= {
        tag for tag, _ in values
    }
    train(tiny, tmp_path / "without")
    assert same_weights(run, tmp_path / "without")
    assert not (tmp_path / "without" / board.FOLDER).exists()


def test_a_killed_run_shows_each_epoch_once(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after an epoch's metrics were written and before its checkpoint, it goes on."""
    config, run = replace(tiny, epochs=3, tensorboard=True), tmp_path / "run"
    save, saved = loop.save_checkpoint, []

    def dying(*arguments: object) -> None:
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt
        save(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "save_checkpoint", dying)
    with pytest.raises(KeyboardInterrupt):
        train(config, run)
    monkeypatch.undo()
    assert max(step for _, step in read_back(run)) == 2
    train(config, run, resume=True)
    values = read_back(run)
    assert {step for _, step in values} == {1, 2, 3}
    assert values == in_metrics(run)


def test_a_run_begun_without_it_shows_all_epochs(tiny: RunConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        train(tiny, run, reporter=StopAfter(25))
    train(replace(tiny, tensorboard=True), run, resume=True)
    assert read_back(run) == in_metrics(run)
    assert {step for _, step in read_back(run)} == {1, 2}


def test_without_the_package(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"pip install '\.\[tensorboard\]' in your"):
        train(replace(tiny, tensorboard=True), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
