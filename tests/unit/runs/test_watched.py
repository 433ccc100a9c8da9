"""The test split by epoch, and what is kept of its items: seen, and never used for a choice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import optimize, special

from tempreg.config import RunConfig
from tempreg.runs import load_run, train
from tempreg.training.run_directory import RunDirectory
from tests.conftest import same_weights


def test_watching_the_test_split_changes_nothing(tiny: RunConfig, tmp_path: Path) -> None:
    plain = train(replace(tiny, epochs=3, keep="best"), tmp_path / "plain")
    watched = train(replace(tiny, epochs=3, keep="best", test_every=2), tmp_path / "watched")
    assert same_weights(tmp_path / "plain", tmp_path / "watched")
    own = {"seconds", "peak_memory_mb", "settings", "peak_test_accuracy", "peak_minus_last"}
    assert {k: v for k, v in watched.items() if k not in own} == {
        k: v for k, v in plain.items() if k not in own
    }
    assert "peak_minus_last" not in plain
    lines = RunDirectory(tmp_path / "watched").read_metrics()
    tested = [line for line in lines if line["split"] == "test"]
    assert [line["epoch"] for line in tested] == [2]
    peak = max(tested[0]["accuracy"], watched["test_accuracy"])
    assert watched["peak_test_accuracy"] == peak
    assert watched["peak_minus_last"] == peak - watched["test_accuracy"]


def test_the_items_and_the_honest_loss(tiny: RunConfig, tmp_path: Path) -> None:
    """By numpy and scipy from the network's own outputs; the temperature fitted on validation."""
    summary = train(tiny, tmp_path / "run")
    _, data, network, _ = load_run(tmp_path / "run")
    found = {}
    for name in ("validation", "test"):
        x, y = data.split(name).batch(torch.arange(len(data.split(name))))
        with torch.no_grad():
            found[name] = network(x).double().mean(dim=0).numpy(), y.numpy()
    logits, labels = found["validation"]
    count, classes = logits.shape
    soft = (np.eye(classes)[labels] * count + 1) / (count + classes)

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        return -(soft * (scaled - special.logsumexp(scaled, axis=1, keepdims=True))).sum() / count

    fit = optimize.minimize_scalar(
        loss, bounds=(1e-3, 1e3), method="bounded", options={"xatol": 1e-9}
    )
    assert summary["temperature"] == pytest.approx(fit.x, rel=1e-3)
    logits, labels = found["test"]
    scaled = logits / fit.x
    chosen = scaled[np.arange(len(labels)), labels]
    assert summary["test_nll"] == pytest.approx(
        float((special.logsumexp(scaled, axis=1) - chosen).mean()), rel=1e-4
    )
    with np.load(tmp_path / "run" / "test_items.npz") as items:
        np.testing.assert_array_equal(items["labels"], labels)
        expected = special.softmax(logits, axis=1)
        np.testing.assert_allclose(items["probabilities"], expected, atol=1e-3)
        assert items["correct"].shape == (tiny.num_steps, len(labels))
        assert items["correct"][-1].mean() == pytest.approx(summary["test_accuracy"])
