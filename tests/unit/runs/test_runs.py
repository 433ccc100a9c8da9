"""Whole tiny runs in this process: what they compute, and what they leave."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tempreg.config import ConfigError, RunConfig, config_text
from tempreg.data import Augmentation, DataSet, load_dataset
from tempreg.data.base import SPLITS, ArraySplit
from tempreg.runs import evaluate_run, load_run, train
from tempreg.runs.build import build_model
from tempreg.training.finite import NonFiniteLoss
from tempreg.training.run_directory import RunDirectory
from tempreg.training.schedule import WarmupCosine
from tests.conftest import same_weights


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
        "model.safetensors", "data.json", "test_items.npz", "README.md",
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
            *words: Any, name: str = name, compact: Any = split.compact, **more: Any
        ) -> torch.Tensor:
            events.append(name)
            return compact(*words, **more)

        monkeypatch.setattr(split, "compact", spy)
    monkeypatch.setattr("tempreg.runs.build.load_dataset", lambda *_, **__: data)
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
    loaded = load_run(tmp_path / "run")[1]
    assert summary["optimizer_steps"] == 4 * -(-len(loaded.train) // config.batch_size)
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
    compact = data.train.compact

    def spy(indices: torch.Tensor, *words: Any) -> torch.Tensor:
        seen.append(indices.tolist())
        return compact(indices, *words)

    monkeypatch.setattr(data.train, "compact", spy)
    moved: list[torch.Tensor] = []
    batch = Augmentation.batch

    def watch(self: Augmentation, x: torch.Tensor, y: torch.Tensor, *words: Any) -> Any:
        moved.append(batch(self, torch.eye(34).expand(32, 1, 34, 34), y, *words)[0])
        return x, y

    monkeypatch.setattr("tempreg.runs.build.load_dataset", lambda *_, **__: data)
    monkeypatch.setattr(Augmentation, "batch", watch)
    train(tiny, tmp_path / "run")
    epochs = seen[:22], seen[22:44]
    assert epochs[0] != epochs[1]
    assert all(sorted(itertools.chain.from_iterable(epoch)) == list(range(700)) for epoch in epochs)
    assert len({tensor.numpy().tobytes() for tensor in moved}) == 44


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
        return ArraySplit(split.values[:200], split.targets[:200], scale=1 / 255)

    small = DataSet(
        "small",
        fewer(full.train),
        fewer(full.validation),
        fewer(full.test),
        full.classes,
        1,
        (28, 28),
    )
    monkeypatch.setattr("tempreg.runs.build.load_dataset", lambda *_, **__: small)
    config = replace(tiny, data=replace(tiny.data, name="fashion-mnist"), epochs=4)
    assert train(config, tmp_path / "run")["train_accuracy"] > 0.2


def test_double_precision_trains_and_reads_back(tiny: RunConfig, tmp_path: Path) -> None:
    summary = train(replace(tiny, epochs=1, precision="64-true"), tmp_path / "run")
    assert load_file(tmp_path / "run" / "model.safetensors")["head.weight"].dtype == torch.float64
    assert evaluate_run(tmp_path / "run").loss == summary["test_loss"]
    wild = replace(tiny.optimizer, name="sgd", lr=1e30, warmup_epochs=0.0)
    with pytest.raises(NonFiniteLoss, match="first non-finite numbers are in"):
        train(replace(tiny, precision="64-true", optimizer=wild), tmp_path / "wild")


def test_a_loss_that_is_not_finite_stops_the_run(tiny: RunConfig, tmp_path: Path) -> None:
    wild = replace(tiny, optimizer=replace(tiny.optimizer, name="sgd", lr=1e30, warmup_epochs=0.0))
    with pytest.raises(
        NonFiniteLoss, match=r"epoch 1, batch \d+ .*first non-finite numbers are in"
    ):
        train(wild, tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_objects_refuse_settings_that_do_not_fit(tiny: RunConfig, tmp_path: Path) -> None:
    padded = {"unequal": True, "frames": "duration", "frame_ms": 10.0}
    for config, words in (
        (replace(tiny, data=replace(tiny.data, name="cifar12")), "no reader"),
        (replace(tiny, model=replace(tiny.model, name="vggsnn")), r"model\.channels"),
        (replace(tiny, model=replace(tiny.model, channels=(2,) * 7)), "too small"),
        (replace(tiny, model=replace(tiny.model, recurrent=False)), "set it to true for csnn"),
        (
            replace(tiny, data=replace(tiny.data, name="fashion-mnist", **padded)),
            "data.unequal is for recordings, and fashion-mnist holds images",
        ),
        (replace(tiny, precision="16-mixed", device="cpu"), "16-mixed needs a CUDA device"),
    ):
        with pytest.raises(ConfigError, match=words):
            train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
