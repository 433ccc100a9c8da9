"""The analyses of a finished run: which files they leave, and that T and the network fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tempreg.analysis import Anytime, Flatness, Probes, Robustness, Spikes, StepTransfer
from tempreg.config import RunConfig
from tempreg.runs import evaluate_run, train
from tempreg.runs.analyze import ANALYSES, analyze_run


@pytest.fixture(scope="module")
def run(tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "tiny"
    train(replace(tiny, epochs=1), path)
    return path


def test_files_of_a_run(run: Path) -> None:
    kinds = {
        "flatness": Flatness,
        "spikes-held-out": Spikes,
        "anytime-held-out": Anytime,
        "step-transfer-held-out": StepTransfer,
        "probes-held-out": Probes,
        "robustness-held-out": Robustness,
    }
    said: list[str] = []
    quantities = ("flatness", "spikes", "anytime", "early")
    results = analyze_run(run, quantities, samples=8, chunk=8, say=said.append)
    assert set(quantities) <= set(ANALYSES)
    assert results.keys() == kinds.keys()
    assert said
    for name, kind in kinds.items():
        back = kind.load(run / "analysis" / f"{name}.json")
        assert back.table() == results[name].table()
        assert (run / "analysis" / f"{name}.svg").stat().st_size > 1000
        assert (run / "analysis" / f"{name}.json").stat().st_size < 1_000_000


def test_other_steps_are_those_of_the_run(run: Path) -> None:
    """On the whole test split, running at T is what `evaluate --num-steps T` gives."""
    results = analyze_run(run, ("anytime",), samples=10_000, chunk=100)
    transfer, now = results["step-transfer-held-out"], results["anytime-held-out"]
    assert isinstance(transfer, StepTransfer)
    assert isinstance(now, Anytime)
    assert transfer.num_steps.tolist() == [1, 2, 3, 4]
    for steps, row in zip(transfer.num_steps, transfer.accuracy, strict=True):
        expected = evaluate_run(run, num_steps=int(steps)).accuracy_per_step
        np.testing.assert_allclose(row[: int(steps)], expected)
    np.testing.assert_array_equal(now.accuracy, transfer.accuracy[1, :2])
