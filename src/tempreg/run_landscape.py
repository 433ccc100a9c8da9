"""The analyses of flatness, spikes, anytime behaviour and early steps, of a finished run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tempreg.analysis import (
    Result,
    Spikes,
    anytime,
    early_robustness,
    flatness,
    linear_probes,
    step_transfer,
    surrogate_curvature,
)
from tempreg.analysis import spikes as measure_spikes
from tempreg.runs import load_run
from tempreg.training.streams import stream

if TYPE_CHECKING:
    from tempreg.run_analysis import Material

BRIEF: dict[str, Any] = {
    "points": 11, "plane_points": 1, "draws": 3, "rhos": (0.03,), "ascent_steps": 3,
}  # fmt: skip
"""Of `flatness`, where many runs are compared: no plane, and fewer points and draws."""


def run_flatness(material: Material) -> dict[str, Result]:
    """Slices, noise and sharpness on the chosen samples; the temperature from held-out ones."""
    material.say("flatness: slices, noise, sharpness (minutes)")
    x, y = material.inputs, material.targets
    found = flatness(
        material.model,
        x,
        y,
        seed=material.seed,
        calibration=material.held_out,
        chunk=material.chunk,
        **(BRIEF if material.brief else {}),
    )
    return {"flatness": found}


def run_curvature(material: Material) -> dict[str, Result]:
    """Surrogate Hessian and GGN on the chosen samples; needs tempreg[curvature]."""
    material.say("surrogate curvature")
    x, y = material.inputs, material.targets
    found = surrogate_curvature(material.model, x, y, seed=material.seed, chunk=material.chunk)
    return {"curvature": found}


def run_spikes(material: Material) -> dict[str, Result]:
    """On the held-out samples."""
    material.say("spikes and energy")
    return {"spikes-held-out": _spikes(material)}


def run_anytime(material: Material) -> dict[str, Result]:
    """On the held-out samples, at the run's T and at others."""
    material.say("anytime behaviour")
    energy = _spikes(material).energy
    model, data = material.model, material.held_out
    found = anytime(model, *data, energy_per_step=energy, chunk=material.chunk)
    trained = material.config.num_steps
    others = sorted({max(1, trained // 2), trained, trained + (trained + 1) // 2, 2 * trained})
    material.say(f"running at T = {', '.join(map(str, others))}")
    transfer = step_transfer(lambda steps: _at(material, steps), others, chunk=material.chunk)
    return {"anytime-held-out": found, "step-transfer-held-out": transfer}


def run_early(material: Material) -> dict[str, Result]:
    """Probes fitted on the chosen samples and scored on held-out ones; corrupted input."""
    model, data = material.model, material.held_out
    material.say("linear probes")
    fit = (material.inputs, material.targets)
    probes = linear_probes(model, fit, data, chunk=material.chunk)
    material.say("corrupted input")
    worse = early_robustness(model, *data, seed=material.seed, chunk=material.chunk)
    return {"probes-held-out": probes, "robustness-held-out": worse}


def _spikes(material: Material) -> Spikes:
    return measure_spikes(material.model, material.held_out[0], chunk=material.chunk)


def _at(material: Material, steps: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The run's network and as many held-out samples, at another T."""
    _, data, model, _ = load_run(material.path, num_steps=steps)
    order = torch.randperm(len(data.test), generator=stream(material.seed, "analysis"))
    x, y = data.test.batch(order[: len(material.held_out[1])].sort().values)
    held, targets = material.held_out
    return model.to(held), x.to(held), y.to(targets)
