"""The analyses of flatness, spikes, anytime behaviour and early steps, of a finished run."""

from __future__ import annotations

from typing import Any

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
from tempreg.foreign import sees_later
from tempreg.runs.material import Material
from tempreg.runs.read import load_run
from tempreg.training.streams import stream

BRIEF: dict[str, Any] = {
    "points": 9,
    "plane_points": 1,
    "rhos": (0.03,),
    "corners": 3,
    "ascent_steps": 3,
}
"""Of `flatness`, where many runs are compared: no plane, and fewer points, corners and steps."""


def run_flatness(material: Material) -> dict[str, Result]:
    """Slices, noise and sharpness on the chosen samples, with a temperature from held-out ones;
    for a study on the held-out samples, where what a network has learnt by heart is no help."""
    material.say("flatness: slices, noise, sharpness (minutes)")
    brief, held_out = material.brief, material.held_out
    x, y = held_out if brief else (material.inputs, material.targets)
    found = flatness(
        material.model,
        x,
        y,
        seed=material.seed,
        calibration=None if brief else held_out,
        chunk=material.chunk,
        draws=material.draws,
        gains=material.gains,
        **(BRIEF if brief else {}),
    )
    return {"flatness-held-out" if brief else "flatness": found}


def run_curvature(material: Material) -> dict[str, Result]:
    """Surrogate Hessian and GGN on the chosen samples; needs the extra `curvature`."""
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
    if sees_later(model):
        material.say("running at another T: left out, for psn neurons know that of training alone")
        return {"anytime-held-out": found}
    trained = material.config.num_steps
    others = sorted({max(1, trained // 2), trained, trained + (trained + 1) // 2, 2 * trained})
    material.say(f"running at T = {', '.join(map(str, others))}")
    transfer = step_transfer(lambda steps: _at(material, steps), others, chunk=material.chunk)
    return {"anytime-held-out": found, "step-transfer-held-out": transfer}


def run_early(material: Material) -> dict[str, Result]:
    """Probes fitted on the chosen samples, if several, and scored on held-out ones; corrupted
    input."""
    model, data = material.model, material.held_out
    made: dict[str, Result] = {}
    fit = (material.inputs, material.targets)
    if len(material.targets) > 1:
        material.say("linear probes")
        made["probes-held-out"] = linear_probes(model, fit, data, chunk=material.chunk)
    else:
        material.say("linear probes: left out, for they are fitted on two samples and more")
    material.say("corrupted input")
    worse = early_robustness(model, *data, seed=material.seed, chunk=material.chunk)
    return {**made, "robustness-held-out": worse}


def _spikes(material: Material) -> Spikes:
    return measure_spikes(material.model, material.held_out[0], chunk=material.chunk)


def _at(material: Material, steps: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The run's network and as many held-out samples, at another T."""
    device = material.config.device
    _, data, model, _ = load_run(
        material.path, trust_code=material.trust, num_steps=steps, device=device
    )
    order = torch.randperm(len(data.test), generator=stream(material.seed, "analysis"))
    x, y = data.test.batch(order[: len(material.held_out[1])].sort().values)
    held, targets = material.held_out
    return model.to(held), x.to(held), y.to(targets)
