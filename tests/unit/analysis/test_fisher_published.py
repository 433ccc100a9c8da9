"""The Fisher estimate as the published scripts compute it, by a loop over batches of their kind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tempreg import create_model
from tempreg.analysis import fisher_information
from tempreg.config import ConfigError, RunConfig
from tempreg.runs import load_run, train
from tempreg.runs.analyze import analyze_run
from tempreg.training.streams import stream
from tests.conftest import CommandLine


def published(network: torch.nn.Module, batches: list[tuple[torch.Tensor, ...]]) -> list[float]:
    """FI_Observation: squared gradients of each batch's mean loss, each divided by 100."""
    found = []
    steps = network(batches[0][0]).shape[0]
    for t in range(1, steps + 1):
        total = 0.0
        for x, y in batches:
            network.zero_grad()
            loss = F.nll_loss(F.log_softmax(network(x)[:t].sum(0) / t, dim=1), y)
            loss.backward()
            total += sum(
                float((p.grad**2 / 100).sum()) for p in network.parameters() if p.grad is not None
            )
        found.append(total)
    return found


def test_batch_times_batches_over_100_is_the_published_number() -> None:
    torch.manual_seed(0)
    network = create_model(
        "csnn", num_classes=3, in_channels=2, num_steps=3, input_size=8, channels=(4, 6)
    )
    network = network.double().eval()
    x, y = torch.rand(3, 24, 2, 8, 8, dtype=torch.float64) * 3, torch.arange(24) % 3
    batches = list(zip(x.split(6, dim=1), y.split(6), strict=True))
    ours = fisher_information(network, x, y, estimator="batch", chunk=6)
    expected = published(network, batches)
    assert (ours.per_step * len(batches) / 100).tolist() == pytest.approx(expected, rel=1e-9)
    exact = fisher_information(network, x, y, estimator="exact").per_step
    assert (ours.per_step < exact).all()


def test_analyze_asks_for_an_estimator(
    tiny: RunConfig, tmp_path: Path, tempreg_here: CommandLine
) -> None:
    small = replace(tiny, epochs=1, data=replace(tiny.data, train_size=64))
    train(small, tmp_path / "run")
    words = ("--samples", "12", "--batch-size", "4", "--brief", "--estimator", "signs")
    made = tempreg_here("analyze", "run", "fisher", *words)
    assert made.returncode == 0, made.stderr
    assert "information (signs)" in made.stdout
    result = analyze_run(
        tmp_path / "run", ["fisher"], samples=12, chunk=4, estimator="batch", brief=True
    )
    held = json.loads((tmp_path / "run/analysis/fisher.json").read_text())
    assert held["settings"]["estimator"] == "batch"
    # Neighbours in a file are often of one class: the batches are drawn from all samples.
    _, data, network, _ = load_run(tmp_path / "run")
    rows = torch.randperm(len(data.train), generator=stream(0, "analysis"))[:12].sort().values
    rows = rows[torch.randperm(12, generator=stream(0, "batches"))]
    batches = [data.train.batch(part) for part in rows.split(4)]
    expected = [100 / 3 * value for value in published(network, batches)]
    assert result["fisher"].per_step.tolist() == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ConfigError, match="unknown estimator 'all': choose of exact, signs, batch"):
        analyze_run(tmp_path / "run", ["fisher"], estimator="all")
