"""The analyses of a finished run: which files they leave, and that T and the network fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tempreg.analysis import Anytime, EarlyExits, Flatness, Probes, Robustness, Spikes, StepTransfer
from tempreg.config import RunConfig
from tempreg.runs import evaluate_run, train
from tempreg.runs.analyze import ANALYSES, analyze_run
from tempreg.runs.calibrate import calibrate_run
from tempreg.study.columns import analysis_columns
from tests.spoilt import arrays
from tests.unit.limits.test_whole_runs import config


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


def test_answers_at_equal_risk_are_those_of_the_validation_samples(
    tiny: RunConfig, tmp_path: Path
) -> None:
    data = replace(tiny.data, validation=0.3)
    train(replace(tiny, epochs=1, data=data), tmp_path / "run")
    found = analyze_run(tmp_path / "run", ("exits",), samples=8)["exits-held-out"]
    assert isinstance(found, EarlyExits)
    exit_ = calibrate_run(tmp_path / "run", risk=0.1)
    assert found.settings["split"] == "test"
    assert found.settings["calibrated on"] == 2 * exit_.samples
    assert found.threshold[2] == exit_.threshold
    columns = analysis_columns(tmp_path / "run")
    assert columns["timesteps_at_risk_0.1"] == found.timesteps[2]
    assert columns["lost_at_risk_0.1"] == found.lost[2]
    assert columns["accuracy_at_risk_0.1"] == found.accuracy[2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keep": "best"}, "the validation samples chose the epoch"),
        ({"data": {"validation": 0.0}}, "holds no validation data out"),
    ],
)
def test_runs_that_can_not_be_calibrated_say_so(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    np.savez(tmp_path / "own.npz", **arrays())
    train(config(tmp_path, **changes), tmp_path / "run")
    said: list[str] = []
    assert analyze_run(tmp_path / "run", ("exits",), samples=8, say=said.append) == {}
    assert words in said[0]
