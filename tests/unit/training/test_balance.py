"""Unequal classes trained on equally often, and training that stops when nothing gets better."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tempreg.config import RunConfig
from tempreg.runs import load_run, train
from tempreg.training.batches import balanced


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_each_class_comes_equally_often(epoch: int) -> None:
    targets = torch.tensor([0] * 90 + [1] * 9 + [3] * 2)
    order = torch.randperm(101, generator=torch.Generator().manual_seed(epoch))
    drawn = balanced(order, targets, epoch)
    assert len(drawn) == 101
    counts = torch.bincount(targets[drawn], minlength=4)
    assert sorted(counts.tolist()) == [0, 33, 34, 34]
    for label in (0, 1, 3):
        times = torch.bincount(drawn, minlength=101)[targets == label]
        assert int(times.max() - times.min()) <= 1
    firsts = targets[drawn][:50].bincount(minlength=4)
    assert firsts[[0, 1, 3]].min() > 5
    assert not torch.equal(drawn, balanced(order, targets, epoch + 1))


def test_balance_is_what_training_reads(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def noted(order: torch.Tensor, targets: torch.Tensor, epoch: int) -> torch.Tensor:
        seen.append(True)
        return balanced(order, targets, epoch)

    monkeypatch.setattr("tempreg.training.batches.balanced", noted)
    train(replace(tiny, epochs=1), tmp_path / "plain")
    assert not seen
    train(replace(tiny, epochs=1, balance=True), tmp_path / "balanced")
    assert seen == [True]
    plain, equal = (
        json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[0])
        for name in ("plain", "balanced")
    )
    assert plain["loss"] != equal["loss"]


def test_training_stops_when_nothing_gets_better(tiny: RunConfig, tmp_path: Path) -> None:
    """A learning rate of nearly nothing: the first epoch stays the best."""
    optimizer = replace(tiny.optimizer, lr=1e-30)
    config = replace(tiny, epochs=9, patience=2, optimizer=optimizer)
    summary = train(config, tmp_path / "run")
    best = summary["best_val_epoch"]
    assert summary["stopped_early"] is True
    assert summary["epochs"] == summary["kept_epoch"] == best + 2 < 9
    lines = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert max(line["epoch"] for line in lines) == best + 2
    again = train(config, tmp_path / "run", resume=True)
    assert again == summary
    assert load_run(tmp_path / "run")[0].patience == 2
    with pytest.raises(ValueError, match="leaves no data to stop by"):
        replace(config, data=replace(config.data, validation=0.0))
