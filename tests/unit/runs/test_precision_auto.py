"""Which precision a run takes by itself: measured, recorded, and kept to."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tempreg.config import ConfigError, RunConfig
from tempreg.runs import evaluate_run, precision, train
from tempreg.runs.build import build_data, build_model, build_objective
from tempreg.runs.launch import device_type
from tempreg.runs.precision import measured
from tempreg.training.interrupt import Interrupted
from tests.conftest import same_weights
from tests.unit.runs.test_resume import StopAfter


def claiming(monkeypatch: pytest.MonkeyPatch, *ratios: float) -> list[object]:
    """Trials that find these ratios of bf16 over float32, one after the other; what they tried."""
    tried: list[object] = []

    def compared(work: object, until: float) -> tuple[float, float]:
        tried.append(work)
        return (ratios[min(len(tried), len(ratios)) - 1],) * 2

    monkeypatch.setattr(precision, "_compared", compared)
    return tried


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "environment.json").read_text())
    return found


@pytest.mark.parametrize(("ratio", "name"), [(0.5, "bf16-mixed"), (0.95, "32-true")])
def test_what_is_faster_is_taken_and_recorded(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratio: float, name: str
) -> None:
    claiming(monkeypatch, ratio)
    own = replace(tiny, epochs=1, precision="auto")
    train(own, tmp_path / "auto")
    train(replace(own, precision=name), tmp_path / "named")
    assert same_weights(tmp_path / "auto", tmp_path / "named")
    found = record(tmp_path / "auto")
    assert found["precision"] == name
    assert found["measured_precision"]["ratio"] == ratio
    assert "measured_precision" not in record(tmp_path / "named")
    assert "precision: auto" in (tmp_path / "auto" / "config.yaml").read_text()
    losses = [evaluate_run(tmp_path / each, "test").loss for each in ("auto", "named")]
    assert losses[0] == losses[1]


def test_a_run_goes_on_with_what_it_began_with(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(tiny, epochs=1, precision="auto")
    claiming(monkeypatch, 0.5)
    train(own, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(own, tmp_path / "run", reporter=StopAfter(5))
    tried = claiming(monkeypatch, 1.3)  # another machine, or a busy one
    train(own, tmp_path / "run", resume=True)
    assert not tried
    assert same_weights(tmp_path / "whole", tmp_path / "run")
    found = record(tmp_path / "run")
    assert (found["precision"], found["measured_precision"]["ratio"]) == ("bf16-mixed", 0.5)


def test_a_processor_without_bf16_tries_a_convolution_alone(
    tiny: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = claiming(monkeypatch, 20.0, 0.5)
    data = build_data(tiny)
    network = build_model(tiny, data)
    found = measured(network, build_objective(tiny, network), data, 32)
    assert len(tried) == 1
    assert found == {"of": "a convolution", "ratio": 20.0, "median": 20.0}


def test_what_is_compiled_first_takes_no_time_of_trials(
    tiny: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first step that takes as long as all trials may leaves them their time."""
    ever: set[bool] = set()

    def step(trial: object, samples: int) -> Any:
        def work(half: bool) -> None:
            time.sleep(0.001 if half in ever else 0.4)
            ever.add(half)

        return work

    monkeypatch.setattr(precision._Trial, "step", step)
    monkeypatch.setattr(precision, "HOPELESS", float("inf"))
    monkeypatch.setattr(precision, "_convolution", lambda: lambda half: None)
    data = build_data(tiny)
    network = build_model(tiny, data)
    found = measured(network, build_objective(tiny, network), data, 8)
    assert found["of"] == "a training step on 8 samples"


def test_trials_grow_up_to_the_batch_and_change_nothing(
    tiny: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "SECONDS", 1000.0)
    data = build_data(tiny)
    network = build_model(tiny, data)
    objective = build_objective(tiny, network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    sizes: list[int] = []
    first_call = nn.Module.__call__

    def noted(module: nn.Module, *given: Any, **named: Any) -> Any:
        if type(module) is type(network):
            sizes.append(given[0].shape[1])
        return first_call(module, *given, **named)

    monkeypatch.setattr(precision, "HOPELESS", float("inf"))
    monkeypatch.setattr(precision, "ROUNDS", 1)
    monkeypatch.setattr(type(network), "__call__", noted)
    found = measured(network, objective, data, 6)
    assert sorted(set(sizes)) == [2, 4, 6]
    assert found["of"] == "a training step on 6 samples"
    assert found["ratio"] > 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_time_it_takes_is_bounded(tiny: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials end once their time is over, though each may be slow."""
    monkeypatch.setattr(precision, "SECONDS", 0.0)
    monkeypatch.setattr(precision, "HOPELESS", float("inf"))
    data = build_data(tiny)
    network = build_model(tiny, data)
    start = time.perf_counter()
    found = measured(network, build_objective(tiny, network), data, 32)
    assert found["of"] == "a training step on 2 samples"
    assert time.perf_counter() - start < 60


def test_auto_is_for_one_process_on_a_cpu(tiny: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="precision auto is for one process"):
        replace(tiny, precision="auto", devices=2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="for a GPU name one"):
        device_type(replace(tiny, precision="auto"))
    assert device_type(replace(tiny, precision="auto", device="cpu")) == "cpu"
