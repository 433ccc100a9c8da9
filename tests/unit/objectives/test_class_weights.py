"""Classes weighed in cross-entropies: PyTorch's `weight=`, samples that come twice, settings."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.config import ConfigError, RunConfig, config_from_dict
from tempreg.objectives import Making, Objective, named_objective
from tempreg.options import ObjectiveOptions, parse_objective
from tempreg.options.terms import BASES
from tempreg.runs import load_run, train
from tempreg.runs.build import build_data, weigh_classes

STEPS, BATCH, CLASSES = 3, 7, 4
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)
NAMES = [*BASES, "trt", "step+ls", "rate+mse+l2n", "step+self", "anytime+kd", "tet+logit-early"]


def made(name: str) -> Objective:
    torch.manual_seed(0)
    options = ObjectiveOptions(name=name, lam=0.01)
    return named_objective(parse_objective(name), Making(options, nn.Linear(5, 2).double(), STEPS))


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    outputs = torch.randn(STEPS, BATCH, CLASSES, generator=generator, dtype=torch.float64)
    return outputs, torch.tensor([0, 1, 1, 3, 0, 2, 1])


def seen(name: str, outputs: Tensor) -> Tensor:
    """The logits [*, B, C] that a base's cross-entropy is of."""
    if name in ("rate", "tks", "s2w", "w2s"):
        return outputs.mean(dim=0, keepdim=True)
    if name == "anytime":
        return torch.stack([outputs[: t + 1].mean(dim=0) for t in range(STEPS)])
    return outputs


@pytest.mark.parametrize("name", [n for n in BASES if n != "smooth"])
def test_it_is_pytorchs_weight(name: str) -> None:
    outputs, targets = batch()
    objective, factor = made(name), 0.95 if name == "tet" else 1.0
    objective.begin_epoch(0, 1)
    objective(outputs, targets)
    plain = dict(objective.terms)
    objective.weigh_classes(WEIGHTS)
    objective(outputs, targets)
    logits = seen(name, outputs)
    summed = [F.cross_entropy(o, targets, weight=WEIGHTS, reduction="sum") for o in logits]
    torch.testing.assert_close(
        objective.terms["cross_entropy"], factor * torch.stack(summed).mean() / BATCH
    )
    others = {k: v for k, v in objective.terms.items() if k != "cross_entropy"}
    assert others == {k: v for k, v in plain.items() if k != "cross_entropy"}
    # Of probabilities PyTorch's mean is over samples too.
    soft = torch.rand(BATCH, CLASSES, dtype=torch.float64).softmax(dim=1)
    objective(outputs, soft)
    means = [F.cross_entropy(o, soft, weight=WEIGHTS) for o in logits]
    torch.testing.assert_close(objective.terms["cross_entropy"], factor * torch.stack(means).mean())


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_of_two_is_a_sample_that_comes_twice(name: str) -> None:
    outputs, targets = batch()
    objective = made(name)
    objective.begin_epoch(1, 2)
    twice = torch.cat([torch.arange(BATCH), torch.nonzero(targets == 1).flatten()])
    if parse_objective(name).base == "smooth" or "ls" in parse_objective(name).additions:
        targets = F.one_hot(targets, CLASSES).double()  # all classes have a part in each sample
        smooth = copy.deepcopy(objective)
        smooth.weigh_classes(torch.ones(CLASSES))
        torch.testing.assert_close(smooth(outputs, targets), objective(outputs, targets))
        return
    objective(outputs[:, twice], targets[twice])
    expected = objective.terms["cross_entropy"] * len(twice) / BATCH
    objective.weigh_classes(torch.tensor([1.0, 2.0, 1.0, 1.0]))
    objective(outputs, targets)
    torch.testing.assert_close(objective.terms["cross_entropy"], expected)
    objective.weigh_classes(None)
    assert torch.equal(objective(outputs, targets), made_again(name)(outputs, targets))


def made_again(name: str) -> Objective:
    objective = made(name)
    objective.begin_epoch(1, 2)
    return objective


def test_smoothing_spreads_over_weighed_classes() -> None:
    outputs, targets = batch()
    for name in ("smooth", "step+ls"):
        objective = made(name)
        objective.weigh_classes(WEIGHTS)
        objective(outputs, targets)
        hard = F.one_hot(targets, CLASSES).double()
        soft = 0.9 * hard + 0.1 / CLASSES
        means = [F.cross_entropy(o, soft, weight=WEIGHTS) for o in outputs]
        torch.testing.assert_close(objective.terms["cross_entropy"], torch.stack(means).mean())


@pytest.mark.parametrize(
    "weights", [[1.0, -1.0], [0.0, 0.0], [float("nan"), 1.0], [[1.0, 1.0]]], ids=str
)
def test_weights_that_are_none(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="class weights are one a class"):
        made("step").weigh_classes(torch.tensor(weights))


def test_another_number_of_classes_is_named() -> None:
    objective = made("rate")
    objective.weigh_classes(torch.ones(3))
    with pytest.raises(ValueError, match="3 class weights, but outputs of 4 classes"):
        objective(*batch())


def test_a_run_weighs_by_its_training_part(tiny: RunConfig, tmp_path: Path) -> None:
    config = replace(tiny, epochs=1, objective=replace(tiny.objective, weigh_classes=True))
    data = build_data(config)
    counts = torch.bincount(data.train.targets, minlength=len(data.classes)).double()
    weights = len(data.train) / (len(data.classes) * counts)
    train(config, tmp_path / "weighed")
    objective = load_run(tmp_path / "weighed")[3]
    assert objective.class_weights is not None
    torch.testing.assert_close(objective.class_weights, weights)
    assert weights[data.train.targets].mean() == pytest.approx(1.0)
    given = replace(tiny.objective, class_weights=tuple(weights.tolist()))
    train(replace(config, objective=given), tmp_path / "given")
    train(replace(tiny, epochs=1), tmp_path / "plain")
    lines = {
        name: json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[0])["loss"]
        for name in ("weighed", "given", "plain")
    }
    assert lines["weighed"] == lines["given"] != lines["plain"]


def test_settings_that_do_not_fit(tiny: RunConfig) -> None:
    both = {"weigh_classes": True, "class_weights": [1.0, 2.0]}
    with pytest.raises(ConfigError, match="leave one of them out"):
        config_from_dict({"objective": both}, "file")
    with pytest.raises(ConfigError, match="balance shows rarer classes more often"):
        config_from_dict({"balance": True, "objective": {"weigh_classes": True}}, "file")
    with pytest.raises(ConfigError, match="one or more weights > 0"):
        config_from_dict({"objective": {"class_weights": [0.0]}}, "file")
    data, few = build_data(tiny), replace(tiny.objective, class_weights=(1.0,))
    with pytest.raises(ConfigError, match=r"has 1 weights, and .* has 10 classes"):
        weigh_classes(replace(tiny, objective=few), made("step"), data)
    own = replace(tiny.objective, name="my_loss:Loss", weigh_classes=True)
    with pytest.raises(ConfigError, match="for objectives by name, and my_loss:Loss is one"):
        weigh_classes(replace(tiny, objective=own), made("step"), data)
