"""How a GPU is told to compute, told without one; and what a CPU is spared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tempreg.config import RunConfig
from tempreg.options import OptimizerOptions
from tempreg.runs import launch
from tempreg.runs.build import build_optimizer
from tempreg.training.arithmetic import arithmetic
from tempreg.training.checkpoint import Position, load_checkpoint, save_checkpoint


def state() -> tuple[bool, ...]:
    cudnn = torch.backends.cudnn
    strict = torch.are_deterministic_algorithms_enabled()
    return cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, strict


def test_a_gpu_is_told_and_afterwards_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = state()
    with arithmetic("cuda", tf32=False, deterministic=True):
        assert state() == (False, True, False, True)
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert state() == before
    with arithmetic("cuda", tf32=True):
        assert state()[0]
        assert not state()[3]
    with arithmetic("cpu", tf32=False, deterministic=True):
        assert state() == before


def test_workers_follow_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch.workers(RunConfig()) == 0
    monkeypatch.setattr(launch, "device_type", lambda config: "cuda")
    monkeypatch.setattr(launch.os, "cpu_count", lambda: 16)
    assert launch.workers(RunConfig()) == 4
    assert launch.workers(RunConfig(devices=8)) == 2
    assert launch.workers(RunConfig(workers=0)) == 0


def test_other_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch.device_remark(RunConfig(device="cpu")) is None
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert "this Mac's GPU is not used" in (launch.device_remark(RunConfig()) or "")
    assert launch.device_remark(RunConfig(device="cpu")) is None
    monkeypatch.setattr(launch, "device_type", lambda config: "cuda")
    monkeypatch.setattr(torch.version, "hip", "6.0")
    assert "not been tried on an AMD GPU" in (launch.device_remark(RunConfig()) or "")


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_the_optimizer_is_fused_on_a_gpu_where_it_may(name: str, clip: float | None) -> None:
    model = torch.nn.Linear(2, 2)
    options = OptimizerOptions(name=name, clip_norm=clip)
    config = RunConfig(optimizer=options)
    half = replace(config, precision="16-mixed")
    for settings, device, fused in (
        (config, "cpu", False),
        (config, "cuda", True),
        (half, "cuda", name != "sgd" and clip is None),
    ):
        optimizer = build_optimizer(settings, model, device)
        assert bool(optimizer.param_groups[0]["fused"]) == fused


def test_a_checkpoint_brings_no_other_way_to_step(tmp_path: Path) -> None:
    model, config = torch.nn.Linear(2, 2), RunConfig()
    there, here = (build_optimizer(config, model, device) for device in ("cuda", "cpu"))
    for optimizer in (there, here):
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    for saved, other in ((there, here), (here, there)):
        fused = other.param_groups[0]["fused"]
        save_checkpoint(tmp_path / "a.pt", model, saved, Position(), {}, "settings")
        load_checkpoint(tmp_path / "a.pt", model, other, "settings")
        assert other.param_groups[0]["fused"] == fused
        model(torch.ones(1, 2)).sum().backward()
        other.step()
