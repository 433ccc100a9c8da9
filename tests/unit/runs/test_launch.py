"""How processes are counted and named, and how they share a batch."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tempreg import create_model
from tempreg.config import ConfigError, RunConfig, config_text
from tempreg.models.layers import Dropout
from tempreg.runs import evaluate_run, train
from tempreg.runs.launch import (
    as_launched,
    is_first_process,
    joins_others,
    launcher,
    with_sync_batch_norm,
)
from tempreg.runs.predict import predictor
from tempreg.training.evaluate import Totals
from tempreg.training.processes import Processes

TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "3", "RANK": "4"}
SLURM = {"SLURM_NTASKS": "8", "SLURM_NNODES": "2", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "mine"}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No launcher's variables, whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC_")) or name in {"LOCAL_RANK", "NODE_RANK"}:
            monkeypatch.delenv(name)


def given_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_nothing_has_launched_this() -> None:
    assert launcher() is None
    assert is_first_process()
    assert not joins_others()
    config = RunConfig(devices=2)
    assert as_launched(config) == config


@pytest.mark.parametrize(
    ("variables", "expected", "first"),
    [(TORCHRUN, ("torchrun", 3, 2, 4), False), (SLURM, ("SLURM", 4, 2, 0), True)],
)
def test_launchers(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    expected: tuple[str, int, int, int],
    first: bool,
) -> None:
    given_environment(monkeypatch, variables)
    assert launcher() == expected
    assert is_first_process() == first
    assert joins_others()
    resolved = as_launched(RunConfig())
    assert (resolved.devices, resolved.num_nodes) == expected[1:3]
    assert as_launched(resolved) == resolved
    with pytest.raises(ConfigError, match=rf"{expected[0]} started {expected[1]} process\(es\)"):
        as_launched(replace(resolved, devices=2))
    with pytest.raises(ConfigError, match="batch_size"):
        as_launched(RunConfig(batch_size=2))


def test_torchrun_inside_slurm_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    given_environment(monkeypatch, {**SLURM, **TORCHRUN})
    found = launcher()
    assert found is not None
    assert found.name == "torchrun"


def test_one_task_of_slurm_and_an_interactive_job(monkeypatch: pytest.MonkeyPatch) -> None:
    given_environment(monkeypatch, {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"})
    assert not joins_others()
    assert as_launched(RunConfig()) == RunConfig()
    with pytest.raises(ConfigError, match=r"SLURM started 1 process\(es\) on 1 node\(s\)"):
        as_launched(RunConfig(devices=2))
    monkeypatch.setenv("SLURM_JOB_NAME", "interactive")
    assert as_launched(RunConfig(devices=2)) == RunConfig(devices=2)


def test_uneven_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    given_environment(monkeypatch, {**SLURM, "SLURM_NTASKS": "7"})
    with pytest.raises(ConfigError, match="7 processes on 2 nodes: start equally many"):
        launcher()


def test_nodes_need_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="nothing says where the others are"):
        as_launched(RunConfig(num_nodes=2))
    given_environment(
        monkeypatch, {"MASTER_ADDR": "a", "MASTER_PORT": "1", "NODE_RANK": "1", "LOCAL_RANK": "0"}
    )
    assert as_launched(RunConfig(num_nodes=2)) == RunConfig(num_nodes=2)
    assert not is_first_process()


def test_requests_that_no_processes_can_meet(tiny: RunConfig, tmp_path: Path) -> None:
    for changes, sentence in (
        ({"sync_batch_norm": True, "device": "cpu"}, "sync_batch_norm needs CUDA devices"),
        ({"num_nodes": 512, "batch_size": 512}, "nothing says where the others are"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            train(replace(tiny, **changes), tmp_path / "run")
    with pytest.raises(ValueError, match=r"at least devices x num_nodes \(64\)"):
        replace(tiny, devices=2, num_nodes=32, batch_size=63)
    with pytest.raises(ValueError, match=r"goes with model\.norm bn, got tdbn"):
        replace(tiny, sync_batch_norm=True, model=replace(tiny.model, norm="tdbn"))
    assert not (tmp_path / "run").exists()


def test_one_process_uses_a_run_of_many(tiny: RunConfig, tmp_path: Path) -> None:
    train(replace(tiny, epochs=1), tmp_path / "run")
    elsewhere = replace(tiny, epochs=1, devices=32)  # as if it was trained on a larger machine
    (tmp_path / "run" / "config.yaml").write_text(config_text(elsewhere))
    expected = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert evaluate_run(tmp_path / "run").accuracy_per_step == expected["accuracy_per_step"]
    assert predictor(tmp_path / "run")
    assert train(elsewhere, tmp_path / "run", resume=True) == expected  # it is finished


def seen_from(rank: int, world: int) -> Processes:
    fabric: Any = SimpleNamespace(global_rank=rank, world_size=world)
    return Processes(fabric, Path("run"))


@given(samples=st.integers(1, 40), world=st.integers(1, 9))
def test_shares_make_up_the_batch_and_weigh_as_its_mean(samples: int, world: int) -> None:
    values = torch.arange(samples, dtype=torch.float64) ** 2
    all_of_them = [seen_from(rank, world) for rank in range(world)]
    shares = [each.share(samples) for each in all_of_them]
    weights = [each.weight(samples) for each in all_of_them]
    taken = torch.cat([s for s, w in zip(shares, weights, strict=True) if w > 0])
    assert taken.sort().values.tolist() == list(range(samples))
    assert all(len(share) >= 1 for share in shares)
    assert sum(weights) == pytest.approx(world)  # so a term that all have alike stays as it is
    mean = sum(w * values[s].mean() for s, w in zip(shares, weights, strict=True)) / world
    assert float(mean) == pytest.approx(float(values.mean()))


def test_dropout_of_a_share_is_that_of_the_batch() -> None:
    layer, x = Dropout(0.3), torch.rand(4, 10, 6, dtype=torch.float64)

    def dropped(part: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        result: torch.Tensor = layer(part)
        return result

    whole = dropped(x)
    torch.manual_seed(3)
    assert torch.equal(whole, nn.Dropout(0.3)(x))
    for rows in (torch.arange(0, 10, 3), torch.tensor([0]), torch.arange(10)):
        layer.joint = 10, rows
        assert torch.equal(dropped(x[:, rows]), whole[:, rows])
        assert torch.equal(layer.eval()(x), x)
        layer.train()


@pytest.mark.parametrize("name", ["csnn", "vggsnn", "resnet19", "sew_resnet18"])
def test_networks_without_norm(name: str) -> None:
    torch.manual_seed(0)
    network = create_model(
        name, num_classes=3, in_channels=2, num_steps=2, input_size=16, norm="none"
    )
    assert not any("Norm2d" in type(module).__name__ for module in network.modules())
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert all(convolution.bias is not None for convolution in convolutions)
    x = torch.rand(2, 5, 2, 16, 16)
    logits = network(x)
    assert torch.allclose(logits[:, :2], network(x[:, :2]), atol=1e-5)  # no sample sees another
    logits.square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_synchronised_batch_norm_keeps_names_parameters_and_results() -> None:
    torch.manual_seed(0)
    network = create_model("csnn", num_classes=3, in_channels=2, num_steps=2, input_size=8).eval()
    x = torch.rand(2, 5, 2, 8, 8)
    before, parameters = network(x), dict(network.named_parameters())
    converted = with_sync_batch_norm(network)
    assert sum(isinstance(m, nn.SyncBatchNorm) for m in converted.modules()) == 3
    assert not any(isinstance(m, nn.BatchNorm2d) for m in converted.modules())
    assert all(p is parameters[name] for name, p in converted.named_parameters())
    assert torch.allclose(converted(x), before, atol=1e-6)


def test_emptied_totals_add_nothing() -> None:
    totals = Totals.from_state({"samples": 4, "terms": {"loss": 2.0}, "correct": [1, 3]})
    empty = totals.emptied()
    assert empty.state() == {"samples": 0, "terms": {"loss": 0.0}, "correct": [0, 0]}
    assert totals.samples == 4
    assert Totals().emptied().state() == Totals().state()
