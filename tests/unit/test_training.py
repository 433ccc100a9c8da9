"""The parts of training, and whole tiny runs in this process."""

from __future__ import annotations

import itertools
import json
import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tempreg.build import build_model, build_objective
from tempreg.config import ConfigError, RunConfig, config_text
from tempreg.data import Augmentation, DataSet, load_dataset
from tempreg.data.base import SPLITS, ArraySplit
from tempreg.objectives import RateLoss
from tempreg.runs import evaluate_run, load_run, train
from tempreg.training.checkpoint import (
    CheckpointError,
    Position,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from tempreg.training.evaluate import Evaluation, Totals, correct_per_step, evaluate
from tempreg.training.finite import NonFiniteLoss, first_nonfinite
from tempreg.training.interrupt import Interrupted
from tempreg.training.progress import Plain, Silent
from tempreg.training.run_directory import RunDirectory, RunDirectoryError
from tempreg.training.schedule import WarmupCosine
from tempreg.training.streams import stream, stream_seed


def same_weights(a: Path, b: Path) -> bool:
    first, second = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


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
    assert correct_per_step(outputs, torch.tensor([0])).tolist() == [1, 1, 0]


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


def test_a_run_repeats_bit_for_bit_and_its_config_repeats_it(
    tiny: RunConfig, tmp_path: Path
) -> None:
    a = train(tiny, tmp_path / "a")
    torch.manual_seed(99)  # nothing may depend on the global generator
    b = train(replace(tiny, seed=0), tmp_path / "b")
    other = train(replace(tiny, seed=1), tmp_path / "c")
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert not same_weights(tmp_path / "a", tmp_path / "c")
    timing = {"seconds", "peak_memory_mb"}
    assert {k: a[k] for k in a.keys() - timing} == {k: b[k] for k in b.keys() - timing}
    assert a["test_loss"] != other["test_loss"]


def test_what_a_run_leaves(tiny: RunConfig, tmp_path: Path) -> None:
    summary = train(tiny, tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    names = {p.name for p in run.path.iterdir() if not p.name.startswith(".")}
    assert names == {
        "config.yaml", "environment.json", "metrics.jsonl", "summary.json", "checkpoints",
        "model.safetensors",
    }  # fmt: skip
    assert run.config.read_text() == config_text(tiny)
    assert json.loads(run.summary.read_text()) == summary
    assert summary["generalization_gap"] == pytest.approx(
        summary["train_accuracy"] - summary["test_accuracy"]
    )
    assert summary["accuracy_per_step"][-1] == summary["test_accuracy"]
    assert summary["peak_memory_mb"] > 0
    lines = run.read_metrics()
    assert [(v["epoch"], v["split"]) for v in lines] == [
        (1, "train"), (1, "validation"), (2, "train"), (2, "validation"),
    ]  # fmt: skip
    for line in lines:
        terms = line["cross_entropy"] + line["mse"] + line["penalty"]
        assert line["loss"] == pytest.approx(terms, rel=1e-5)
        assert len(line["accuracy_per_step"]) == tiny.num_steps
    assert json.loads(run.environment.read_text())["backend"] in ("compiled", "eager")

    evaluation = evaluate_run(run.path)
    assert evaluation.accuracy_per_step == summary["accuracy_per_step"]
    assert len(evaluate_run(run.path, "validation", num_steps=5).accuracy_per_step) == 5
    with pytest.raises(ConfigError, match="num_steps must be"):
        evaluate_run(run.path, num_steps=0)
    assert train(tiny, run.path, resume=True) == summary


def test_test_split_is_read_once_after_training(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_dataset("nmnist", num_steps=2)
    events: list[str] = []
    for name in SPLITS:
        split = data.split(name)

        def spy(
            indices: torch.Tensor, name: str = name, inputs: Any = split.inputs
        ) -> torch.Tensor:
            events.append(name)
            return inputs(indices)

        split.inputs = spy
    monkeypatch.setattr("tempreg.build.load_dataset", lambda *_, **__: data)
    train(replace(tiny, keep="best"), tmp_path / "run")
    first = events.index("test")
    assert events[:first].count("validation") == 3 * len(data.validation.targets.split(32))
    assert events[first:] == ["test"] * len(data.test.targets.split(32))


def test_best_weights_are_the_best_epochs(tiny: RunConfig, tmp_path: Path) -> None:
    # A rate that grows too late to be good: the last epoch is the worst one.
    late = replace(tiny.optimizer, name="sgd", lr=30.0, warmup_epochs=4.0, momentum=0.0)
    config = replace(tiny, epochs=4, keep="best", optimizer=late)
    summary = train(config, tmp_path / "run")
    lines = RunDirectory(tmp_path / "run").read_metrics()
    accuracies = [v["accuracy"] for v in lines if v["split"] == "validation"]
    assert summary["kept_epoch"] == 1 + accuracies.index(max(accuracies)) < 4
    assert summary["val_accuracy"] == summary["best_val_accuracy"] == max(accuracies)
    assert accuracies[-1] < max(accuracies)
    assert evaluate_run(tmp_path / "run", "validation").accuracy == max(accuracies)


def test_learning_rates_are_the_schedules(tiny: RunConfig, tmp_path: Path) -> None:
    train(tiny, tmp_path / "run")
    lines = RunDirectory(tmp_path / "run").read_metrics()
    schedule = WarmupCosine(tiny.optimizer.lr, 44, 22)
    assert [v["lr"] for v in lines] == [schedule(21)] * 2 + [schedule(43)] * 2


def test_clipping_bounds_the_step(tiny: RunConfig, tmp_path: Path) -> None:
    sgd = replace(tiny.optimizer, name="sgd", lr=1.0, momentum=0.0, warmup_epochs=0.0)
    config = replace(tiny, epochs=1, optimizer=replace(sgd, clip_norm=1e-6))
    start = dict(build_model(config, load_dataset("nmnist", num_steps=2)).named_parameters())
    train(config, tmp_path / "run")
    end = load_file(tmp_path / "run" / "model.safetensors")
    moved = sum(float((end[k] - v).square().sum().detach()) for k, v in start.items()) ** 0.5
    assert 0 < moved <= 22 * 1.1e-6


def test_epochs_differ_in_order_and_augmentation(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_dataset("nmnist", num_steps=2)
    seen: list[list[int]] = []
    inputs = data.train.inputs
    data.train.inputs = lambda i: (seen.append(i.tolist()), inputs(i))[1]
    moved: list[torch.Tensor] = []
    augment = Augmentation.__call__

    def watch(self: Augmentation, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        moved.append(augment(self, torch.eye(34).expand(32, 1, 34, 34), *args, **kwargs))
        return x

    monkeypatch.setattr("tempreg.build.load_dataset", lambda *_, **__: data)
    monkeypatch.setattr(Augmentation, "__call__", watch)
    train(tiny, tmp_path / "run")
    epochs = seen[:22], seen[22:44]
    assert epochs[0] != epochs[1]
    assert all(sorted(itertools.chain.from_iterable(epoch)) == list(range(700)) for epoch in epochs)
    assert len({tensor.numpy().tobytes() for tensor in moved}) == 44


def test_leftovers_of_another_run_are_not_taken_over(tiny: RunConfig, tmp_path: Path) -> None:
    train(tiny, tmp_path / "run")
    for name in ("config.yaml", "summary.json", "model.safetensors"):
        (tmp_path / "run" / name).unlink()
    with pytest.raises(RunDirectoryError, match="not an empty folder"):
        train(replace(tiny, seed=5), tmp_path / "run")
    with pytest.raises(RunDirectoryError, match="not an empty folder"):
        train(replace(tiny, seed=5), tmp_path / "run", resume=True)


def test_a_run_killed_before_its_config_was_written_starts_again(
    tiny: RunConfig, tmp_path: Path
) -> None:
    begun = tmp_path / "run"
    (begun / "checkpoints").mkdir(parents=True)
    (begun / ".lock").touch()
    (begun / "environment.json").write_text("{}")
    (begun / ".config.yaml.abc.tmp").write_text("half")
    train(replace(tiny, epochs=1), begun)
    assert not list(begun.rglob("*.tmp"))


def test_metrics_written_before_a_kill_are_not_doubled(tiny: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(25))
    run = RunDirectory(tmp_path / "run")
    run.append_metrics(epoch=2, split="train", loss=1.0)  # as if killed before the checkpoint
    with run.metrics.open("a") as file:
        file.write('{"epoch": 2, "spl')
    train(tiny, run.path, resume=True)
    assert [v["epoch"] for v in run.read_metrics()] == [1, 1, 2, 2]


def test_going_on_elsewhere_is_noted(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(5))
    before = json.loads((tmp_path / "run" / "environment.json").read_text())
    monkeypatch.setattr("tempreg.runs.resolve_backend", lambda *_: "elsewhere")
    with pytest.warns(UserWarning, match="and goes on with elsewhere"):
        train(tiny, tmp_path / "run", resume=True)
    after = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert after["backend"] == "elsewhere"
    assert [e["backend"] for e in after["earlier"]] == [before["backend"]]


def test_mixed_precision_state_is_saved(tiny: RunConfig, tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(net.parameters())
    position = Position(epoch=3, batch=2, totals=Totals().state(), best_accuracy=0.5)
    file, state = tmp_path / "last.pt", {"scale": 1024.0, "growth_tracker": 3}
    save_checkpoint(file, net, optimizer, position, state, "these")
    assert load_checkpoint(file, net, optimizer, "these") == (position, state)
    with pytest.raises(CheckpointError, match=r"other settings than config\.yaml"):
        load_checkpoint(file, net, optimizer, "others")


def test_settings_edited_behind_a_runs_back_are_noticed(tiny: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(5))
    edited = replace(tiny, epochs=1)
    (tmp_path / "run" / "config.yaml").write_text(config_text(edited))
    with pytest.raises(CheckpointError, match="other settings"):
        train(edited, tmp_path / "run", resume=True)
    (tmp_path / "run" / "config.yaml").write_text(config_text(tiny))
    train(tiny, tmp_path / "run", resume=True)
    (tmp_path / "run" / "config.yaml").write_text(config_text(edited))
    with pytest.raises(RunDirectoryError, match="other settings"):
        train(edited, tmp_path / "run", resume=True)


def test_going_on_without_a_checkpoint_is_said(tiny: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(25))
    (tmp_path / "run" / "checkpoints" / "last.pt").unlink()
    with pytest.warns(UserWarning, match="starts again from the first epoch"):
        train(tiny, tmp_path / "run", resume=True)
    assert len(RunDirectory(tmp_path / "run").read_metrics()) == 4


@pytest.mark.parametrize("content", ["nonsense\n", "{}\n", "[1]\n"])
def test_damaged_metrics(tiny: RunConfig, tmp_path: Path, content: str) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(25))
    (tmp_path / "run" / "metrics.jsonl").write_text(content)
    with pytest.raises(RunDirectoryError, match=r"metrics\.jsonl is damaged"):
        train(tiny, tmp_path / "run", resume=True)


class StopAfter(Silent):
    """Sends this process Ctrl-C in the middle of an epoch."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def step(self, samples: int, running: Evaluation) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("batches", [5, 22, 44])
def test_ctrl_c_leaves_a_run_that_ends_the_same(
    tiny: RunConfig, tmp_path: Path, batches: int
) -> None:
    train(tiny, tmp_path / "whole")
    with pytest.raises(Interrupted, match="continue with: tempreg train --resume"):
        train(tiny, tmp_path / "cut", reporter=StopAfter(batches))
    assert not (tmp_path / "cut" / "summary.json").exists()
    train(tiny, tmp_path / "cut", resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "cut")
    metrics = [
        [
            {k: v for k, v in line.items() if k != "seconds"}
            for line in RunDirectory(p).read_metrics()
        ]
        for p in (tmp_path / "whole", tmp_path / "cut")
    ]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("name", ["rate", "tet"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_other_settings_train(tiny: RunConfig, tmp_path: Path, name: str, optimizer: str) -> None:
    config = replace(
        tiny,
        epochs=1,
        keep="best",
        precision="bf16-mixed" if name == "tet" else "32-true",
        data=replace(tiny.data, frames="count"),
        objective=replace(tiny.objective, name=name),
        optimizer=replace(tiny.optimizer, name=optimizer, clip_norm=1.0, weight_decay=1e-3),
    )
    summary = train(config, tmp_path / "run")
    assert math.isfinite(summary["test_loss"])
    assert summary["kept_epoch"] == summary["best_val_epoch"] == 1


def test_static_images_train(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = load_dataset("fashion-mnist", num_steps=2)

    def fewer(split: Any) -> ArraySplit:
        return ArraySplit(split.values[:200], split.targets[:200], scale=split.scale)

    small = DataSet(
        "small",
        fewer(full.train),
        fewer(full.validation),
        fewer(full.test),
        full.classes,
        1,
        (28, 28),
    )
    monkeypatch.setattr("tempreg.build.load_dataset", lambda *_, **__: small)
    config = replace(tiny, data=replace(tiny.data, name="fashion-mnist"), epochs=4)
    assert train(config, tmp_path / "run")["train_accuracy"] > 0.2


def test_double_precision_trains_and_reads_back(tiny: RunConfig, tmp_path: Path) -> None:
    summary = train(replace(tiny, epochs=1, precision="64-true"), tmp_path / "run")
    assert load_file(tmp_path / "run" / "model.safetensors")["head.weight"].dtype == torch.float64
    assert evaluate_run(tmp_path / "run").loss == summary["test_loss"]
    wild = replace(tiny.optimizer, name="sgd", lr=1e200, warmup_epochs=0.0)
    with pytest.raises(NonFiniteLoss, match="first non-finite numbers are in"):
        train(replace(tiny, precision="64-true", optimizer=wild), tmp_path / "wild")


def test_a_loss_that_is_not_finite_stops_the_run(tiny: RunConfig, tmp_path: Path) -> None:
    wild = replace(tiny, optimizer=replace(tiny.optimizer, name="sgd", lr=1e30, warmup_epochs=0.0))
    with pytest.raises(
        NonFiniteLoss, match=r"epoch 1, batch \d+ .*first non-finite numbers are in"
    ):
        train(wild, tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


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
            load_weights(file, other)
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match="damaged"):
        load_weights(file, nn.Linear(3, 2))


def test_two_processes_in_one_folder_are_refused(tmp_path: Path) -> None:
    first, second = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    refused = pytest.raises(RunDirectoryError, match="another process")
    with first.locked(), refused, second.locked():
        pass
    with second.locked():
        pass


def test_folders_that_cannot_be_used(tiny: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    with pytest.raises(RunDirectoryError, match="not an empty folder"):
        train(tiny, tmp_path / "notes")
    with pytest.raises(RunDirectoryError, match="not an empty folder"):
        train(tiny, tmp_path / "notes" / "mine.txt")
    assert [p.name for p in (tmp_path / "notes").iterdir()] == ["mine.txt"]
    with pytest.raises(RunDirectoryError, match="holds no run"):
        load_run(tmp_path / "notes")


def test_objects_refuse_settings_that_do_not_fit(tiny: RunConfig, tmp_path: Path) -> None:
    for config, words in (
        (replace(tiny, data=replace(tiny.data, name="cifar10")), "no reader"),
        (replace(tiny, model=replace(tiny.model, name="vggsnn")), r"model\.channels"),
        (replace(tiny, model=replace(tiny.model, channels=(2,) * 7)), "too small"),
        (replace(tiny, precision="16-mixed", device="cpu"), "16-mixed needs a CUDA device"),
    ):
        with pytest.raises(ConfigError, match=words):
            train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_objective_of_a_config(tiny: RunConfig) -> None:
    model = build_model(tiny, load_dataset("nmnist", num_steps=2))
    settings = replace(tiny.objective, lam=0.3, decay=0.7, eps=1e-3, eta=0.2, select="weights")
    built = build_objective(replace(tiny, objective=settings), model)
    assert (built.lam, built.decay, built.eps, built.eta) == (0.3, 0.7, 1e-3, 0.2)
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
