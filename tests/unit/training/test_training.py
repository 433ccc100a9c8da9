"""The parts of training, each on its own."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tempreg.config import RunConfig
from tempreg.data import load_dataset
from tempreg.objectives import RateLoss
from tempreg.runs.build import build_model, build_objective
from tempreg.training.checkpoint import (
    CheckpointError,
    Position,
    load_checkpoint,
    restore_weights,
    save_checkpoint,
    save_weights,
)
from tempreg.training.evaluate import Evaluation, Totals, correct_by_item, evaluate
from tempreg.training.finite import first_nonfinite
from tempreg.training.progress import Plain
from tempreg.training.run_directory import RunDirectory, RunDirectoryError
from tempreg.training.schedule import WarmupCosine
from tempreg.training.streams import stream, stream_seed


def test_schedule() -> None:
    lr = WarmupCosine(peak=0.4, steps=12, warmup=4)
    assert [lr(k) for k in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert lr(4) == pytest.approx(0.4)
    assert lr(8) == pytest.approx(0.2)
    assert lr(11) == pytest.approx(0.2 * (1 + math.cos(math.pi * 7 / 8)))
    assert all(lr(k) > lr(k + 1) for k in range(4, 11))


def test_streams_differ_by_purpose_and_place() -> None:
    seeds = {
        stream_seed(s, p, e, b) for s in range(2) for p in "ab" for e in range(3) for b in range(3)
    }
    assert len(seeds) == 36
    a, b = (torch.rand(3, generator=stream(1, "order", 2)) for _ in range(2))
    assert torch.equal(a, b)


def test_accuracy_per_step_is_of_the_running_sum() -> None:
    outputs = torch.tensor([[[1.0, 0.0]], [[0.0, 0.5]], [[0.0, 2.0]]])
    assert correct_by_item(outputs, torch.tensor([0])).tolist() == [[True], [True], [False]]


def test_evaluation_averages_over_samples_not_batches(tiny: RunConfig) -> None:
    data = load_dataset("nmnist", num_steps=2)
    model = build_model(tiny, data)
    results = [
        evaluate(model, RateLoss(), data.validation, batch_size=size).evaluation()
        for size in (100, 7)
    ]
    assert results[0].loss == pytest.approx(results[1].loss, rel=1e-5)
    assert results[0].accuracy_per_step == results[1].accuracy_per_step
    assert model.training


def test_mixed_precision_state_is_saved(tiny: RunConfig, tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(net.parameters())
    position = Position(epoch=3, batch=2, totals=Totals().state(), best_accuracy=0.5)
    file, state = tmp_path / "last.pt", {"scale": 1024.0, "growth_tracker": 3}
    save_checkpoint(file, net, optimizer, position, state, "these")
    assert load_checkpoint(file, net, optimizer, "these") == (position, state)
    with pytest.raises(CheckpointError, match=r"other settings than config\.yaml"):
        load_checkpoint(file, net, optimizer, "others")


def test_first_nonfinite_names_the_place() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    x = torch.ones(3, 2)
    assert first_nonfinite(net, x * math.nan, net) == "the input batch"
    assert "every layer's output is finite" in first_nonfinite(net, x, net)
    with torch.no_grad():
        net[2].weight.fill_(3e38)
        net[0].bias.fill_(9.0)
    assert first_nonfinite(net, x, net) == "the output of 2 (Linear)"
    net[0].bias.data[0] = math.inf
    assert "the parameter 0.bias" in first_nonfinite(net, x, net)


def test_first_nonfinite_sees_what_autocast_overflows() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(300.0)

    def in_half(x: torch.Tensor) -> object:
        with torch.autocast("cpu", dtype=torch.float16):
            return net(x)

    assert "the output of 1 (Linear)" in first_nonfinite(net, torch.ones(3, 2), in_half)
    assert "every layer" in first_nonfinite(net, torch.ones(3, 2), net)


def test_weights_of_another_network(tiny: RunConfig, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_weights(file, nn.Linear(3, 2))
    for other, words in (
        (nn.Linear(3, 4), "weight has shape|bias has shape"),
        (nn.Linear(3, 2, bias=False), "has an unknown tensor bias"),
        (nn.Sequential(nn.Linear(3, 2)), "tensor"),
    ):
        with pytest.raises(CheckpointError, match=words):
            restore_weights(other, file)
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match="damaged"):
        restore_weights(nn.Linear(3, 2), file)


def test_two_processes_in_one_folder_are_refused(tmp_path: Path) -> None:
    first, second = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    refused = pytest.raises(RunDirectoryError, match="another process")
    with first.locked(), refused, second.locked():
        pass
    with second.locked():
        pass


def test_objective_of_a_config(tiny: RunConfig) -> None:
    model = build_model(tiny, load_dataset("nmnist", num_steps=2))
    settings = replace(tiny.objective, lam=0.3, decay=0.7, eps=1e-3, eta=0.2, select="weights")
    built = build_objective(replace(tiny, objective=settings), model)
    assert (built.lam, built.decay, built.eps, built.base.eta) == (0.3, 0.7, 1e-3, 0.2)
    assert built.select == "weights"


def test_plain_progress_line(capsys: pytest.CaptureFixture[str]) -> None:
    reporter, result = Plain(), Evaluation(1.5, {}, [0.25, 0.5])
    with reporter:
        reporter.begin(2, 200, 0)
        reporter.step(100, result)
        reporter.epoch(1, result, result, best=True)
        reporter.begin(2, 200, 100)
        reporter.epoch(1, result, result, best=False)  # stopped after an epoch's last batch
    line, resumed = capsys.readouterr().out.splitlines()
    assert resumed.endswith("? left")
    assert line.startswith("epoch 1/2  loss 1.5000  accuracy 50.00%  validation 50.00% *")
    assert "samples/s" in line
    assert line.rstrip().endswith("left")
