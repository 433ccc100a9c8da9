"""Runs that compute again what others keep: the same weights, and the same again after a stop."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from tempreg.config import ConfigError, RunConfig
from tempreg.runs import evaluate_run, train
from tempreg.runs.build import build_data, build_model, choose_passes
from tempreg.training.interrupt import Interrupted
from tempreg.training.run_directory import RunDirectory, RunDirectoryError
from tests.conftest import same_weights
from tests.unit.runs.test_resume import StopAfter


def shorter(tiny: RunConfig, **changes: object) -> RunConfig:
    """Of one epoch of ten batches, with enough timesteps for pieces."""
    norm = changes.pop("norm", "bn")
    model = replace(tiny.model, norm=norm, v_threshold=1.0 if norm == "bn" else 0.3)
    data = replace(tiny.data, train_size=300)
    return replace(tiny, epochs=1, num_steps=5, model=model, data=data, **changes)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_layers_computed_again_train_the_same_weights(
    tiny: RunConfig, tmp_path: Path, precision: str
) -> None:
    train(shorter(tiny, precision=precision), tmp_path / "kept")
    train(shorter(tiny, precision=precision, recompute="layers"), tmp_path / "again")
    assert same_weights(tmp_path / "kept", tmp_path / "again")


def test_a_run_may_go_on_with_layers_computed_again(tiny: RunConfig, tmp_path: Path) -> None:
    kept = shorter(tiny)
    train(kept, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(kept, tmp_path / "run", reporter=StopAfter(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(replace(kept, recompute="layers"), tmp_path / "run", resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "run")
    assert "recompute: nothing" in RunDirectory(tmp_path / "run").config.read_text()


@pytest.mark.parametrize(
    "changes",
    [
        {"recompute": "time", "norm": "none"},
        {"recompute": "time", "norm": "none", "precision": "bf16-mixed"},
        {"precision": "bf16-mixed"},
        {"recompute": "layers", "precision": "64-true"},
        {"truncate": 2},
        {"truncate": 2, "recompute": "layers", "precision": "64-true"},
    ],
)
def test_runs_repeat_and_go_on_bit_for_bit(
    tiny: RunConfig, tmp_path: Path, changes: dict[str, object]
) -> None:
    config = shorter(tiny, **changes)
    train(config, tmp_path / "one")
    with pytest.raises(Interrupted):
        train(config, tmp_path / "stopped", reporter=StopAfter(7))
    train(config, tmp_path / "stopped", resume=True)
    assert same_weights(tmp_path / "one", tmp_path / "stopped")
    assert evaluate_run(tmp_path / "one", "validation").loss > 0


def test_pieces_of_time_train_as_the_whole_does(tiny: RunConfig, tmp_path: Path) -> None:
    """In float64, where no spike hangs on how a sum was rounded."""
    found = []
    for how in ("nothing", "time"):
        config = shorter(tiny, recompute=how, norm="none", precision="64-true")
        train(config, tmp_path / how)
        found.append(evaluate_run(tmp_path / how, "test").loss)
    assert found[1] == pytest.approx(found[0], rel=1e-9)


def test_truncation_trains_otherwise(tiny: RunConfig, tmp_path: Path) -> None:
    train(shorter(tiny, norm="none"), tmp_path / "all")
    train(shorter(tiny, norm="none", truncate=1), tmp_path / "one")
    assert not same_weights(tmp_path / "all", tmp_path / "one")


def test_a_run_keeps_to_its_pieces(tiny: RunConfig, tmp_path: Path) -> None:
    config = shorter(tiny, norm="none")
    with pytest.raises(Interrupted):
        train(config, tmp_path / "run", reporter=StopAfter(3))
    for other in ({"recompute": "time"}, {"truncate": 2}):
        with pytest.raises(RunDirectoryError, match=f"has {next(iter(other))}: "):
            train(replace(config, **other), tmp_path / "run", resume=True)


def test_settings_that_cannot_hold(tiny: RunConfig) -> None:
    with pytest.raises(ValueError, match="in what recompute layers repeats"):
        replace(tiny, recompute="layers", sync_batch_norm=True)
    with pytest.raises(ValueError, match="a piece may be padding alone"):
        replace(
            tiny, truncate=2, data=replace(tiny.data, unequal=True, frames="duration", frame_ms=9.0)
        )


@pytest.mark.parametrize("how", [{"recompute": "layers"}, {"truncate": 2}])
def test_a_network_of_ones_own_is_refused(tiny: RunConfig, how: dict[str, object]) -> None:
    config = replace(tiny, **how)
    network = build_model(config, build_data(config))
    choose_passes(config, network)
    name = next(iter(how))
    with pytest.raises(ConfigError, match=f"{name} is for networks by name, and Sequential is one"):
        choose_passes(config, nn.Sequential(network))
