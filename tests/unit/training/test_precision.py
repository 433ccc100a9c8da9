"""Loss scaling: what overflows in float16 is stepped over, and the scale is saved with the run.

Fabric scales losses on CUDA alone; PyTorch does on a CPU too, so here it is given such a scaler.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision

from tempreg import runs
from tempreg.bench import bf16
from tempreg.config import RunConfig
from tempreg.runs import fit, read
from tempreg.training.finite import NonFiniteLoss
from tempreg.training.interrupt import Interrupted
from tests.spoilt import arrays
from tests.unit.limits.test_whole_runs import config
from tests.unit.runs.test_resume import StopAfter

MADE: list[torch.amp.GradScaler] = []


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 30 images; runs compute in float16 and begin with a scale that overflows."""
    np.savez(tmp_path / "own.npz", **arrays())

    def half(_: RunConfig) -> Fabric:
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=10_000)
        MADE.append(scaler)
        mixed = MixedPrecision("16-mixed", "cpu", scaler)
        return Fabric(accelerator="cpu", devices=1, plugins=[mixed])

    for module in (fit, read):
        monkeypatch.setattr(module, "build_fabric", half)
    return tmp_path


def checkpoint(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
    return content


def steps(content: dict[str, Any]) -> list[int]:
    return sorted({int(state["step"]) for state in content["optimizer"]["state"].values()})


def test_an_overflow_skips_the_step_and_lowers_the_scale(own: Path) -> None:
    runs.train(config(own, epochs=8), own / "run")
    content = checkpoint(own / "run")
    (taken,) = steps(content)
    skipped = 8 * 3 - taken
    assert skipped > 0
    assert taken > 0
    assert content["precision"]["scale"] == 2.0 ** (24 - skipped)


def test_the_scale_goes_on_with_the_run(own: Path) -> None:
    runs.train(config(own, epochs=8), own / "whole")
    with pytest.raises(Interrupted):
        runs.train(config(own, epochs=8), own / "cut", reporter=StopAfter(14))
    saved = checkpoint(own / "cut")["precision"]
    assert saved["scale"] < 2.0**24
    runs.train(config(own, epochs=8), own / "cut", resume=True)
    whole, cut = checkpoint(own / "whole"), checkpoint(own / "cut")
    assert whole["precision"] == cut["precision"]
    assert steps(whole) == steps(cut)
    for name, tensor in whole["model"].items():
        assert torch.equal(tensor, cut["model"][name]), name


def test_a_run_that_finds_no_scale_stops(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempreg.training.precision.LEAST_SCALE", 2.0**24)
    with pytest.raises(NonFiniteLoss, match="choose precision bf16-mixed or 32-true"):
        runs.train(config(own, epochs=8), own / "run")
    assert not (own / "run" / "summary.json").exists()


def test_bf16_gradients_are_near_those_of_float32() -> None:
    """Within 0.1 of their length through one layer of neurons, and 0.5 through three, where spikes
    flip; of the same sign and size all the same."""
    for name, most in (("tiny", 0.1), ("csnn", 0.5)):
        full, half = (
            torch.cat([g.flatten() for g in bf16.training_step(name, kind)()])
            for kind in (bf16.FULL, bf16.HALF)
        )
        assert full.norm() > 0
        assert 0 < float((half - full).norm() / full.norm()) < most
        assert float(torch.cosine_similarity(half, full, dim=0)) > 0.9
        again = torch.cat([g.flatten() for g in bf16.training_step(name, bf16.HALF)()])
        assert torch.equal(again, half)
