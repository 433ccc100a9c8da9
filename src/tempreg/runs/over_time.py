"""The analyses of temporal gradients and of Fisher information, of a finished run."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tempreg.analysis import (
    Fisher,
    OwnGradients,
    Result,
    fisher_information,
    own_gradients,
    temporal_gradients,
)
from tempreg.analysis.capture import batch_dim
from tempreg.analysis.gradient_sums import Loss
from tempreg.runs.material import Material
from tempreg.training.streams import stream

PUBLISHED_BATCH = 64
"""Samples a batch of the published estimator; see docs/paper.md."""


def run_gradients(material: Material) -> dict[str, Result]:
    """All four objectives on the same weights and samples, the per-step one on each snapshot; and
    the run's own objective over training."""
    made: dict[str, Result] = {}
    objectives = material.objectives()
    if material.brief:
        found = {"gradients-step": _gradients(material, material.model, objectives["step"])}
        return {**found, "gradients-own": _own(material)}
    for name, objective in objectives.items():
        material.say(f"temporal gradients, {name}")
        made[f"gradients-{name}"] = _gradients(material, material.model, objective)
    for stem, model in material.snapshots().items():
        material.say(f"temporal gradients, per-step loss, {stem}")
        made[f"gradients-{stem}"] = _gradients(material, model, objectives["step"])
    return {**made, "gradients-own": _own(material)}


def _gradients(material: Material, model: nn.Module, objective: Loss) -> Result:
    x, y = material.inputs, material.targets
    return temporal_gradients(model, x, y, objective, chunk=material.chunk)


def _own(material: Material) -> OwnGradients:
    """At each epoch whose weights were kept, and of the network that was tested."""
    material.say("temporal gradients, the run's objective")
    networks = {int(stem.split("-")[1]): model for stem, model in material.snapshots().items()}
    networks[material.epoch] = material.model
    x, y, objective = material.inputs, material.targets, material.objective

    def begin(epoch: int) -> None:
        objective.begin_epoch(epoch - 1, material.config.epochs)

    found = own_gradients(networks, x, y, objective, begin=begin, chunk=material.chunk)
    found.settings["objective"] = material.config.objective.name
    found.settings["kept_epoch"] = material.epoch
    return found


def run_fisher(material: Material) -> dict[str, Result]:
    """On the chosen samples, on held-out ones, and on each snapshot.

    For a study, on the chosen samples after epoch 1, where that was kept, and at the end; by
    the published estimator too, with true and with sampled labels.
    """
    if material.brief:
        return _change(material)
    x, y = material.inputs, material.targets
    data = {
        "fisher": (material.model, x, y, material.epoch),
        "fisher-held-out": (material.model, *material.held_out, material.epoch),
    }
    for stem, model in material.snapshots().items():
        data[f"fisher-{stem}"] = (model, x, y, int(stem.split("-")[1]))
    estimator, labels = material.estimator, material.labels
    return {name: _fisher(material, name, *of, estimator, labels) for name, of in data.items()}


def _change(material: Material) -> dict[str, Result]:
    """What the information centroid's change in training is taken from."""
    ways = {"fisher": (material.estimator, material.labels)}
    if material.estimator == "exact":
        ways |= {"fisher-batch": ("batch", "true"), "fisher-batch-sampled": ("batch", "sampled")}
    networks = {"": (material.epoch, material.model)}
    if (first := material.at_epoch(1)) is not None:
        networks["-epoch-0001"] = (1, first)
    x, y = material.inputs, material.targets
    return {
        f"{name}{when}": _fisher(material, f"{name}{when}", model, x, y, epoch, *way)
        for name, way in ways.items()
        for when, (epoch, model) in networks.items()
    }


def _fisher(
    material: Material,
    name: str,
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    epoch: int,
    estimator: str,
    labels: str,
) -> Fisher:
    material.say(f"Fisher information, {name}")
    chunk = material.chunk
    if estimator == "batch":  # whose batches must be drawn, not neighbours in a file
        order = torch.randperm(len(targets), generator=stream(material.seed, "batches"))
        order = order.to(targets.device)
        inputs = inputs.index_select(batch_dim(inputs), order)
        targets = targets[order]
        chunk = chunk if material.estimator == "batch" else PUBLISHED_BATCH
    found = fisher_information(
        model, inputs, targets, estimator=estimator, labels=labels, seed=material.seed, chunk=chunk
    )
    found.settings["epoch"] = epoch
    return found
