"""`tempreg analyze`: the analyses of a finished run, written into its folder.

To add one, write a function of `Material` that returns results by file name, and its line in
`ANALYSES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tempreg.analysis import Result, fisher_information, temporal_gradients
from tempreg.analysis.gradients import Loss
from tempreg.build import build_model
from tempreg.config import ConfigError, RunConfig
from tempreg.data import DataSet
from tempreg.launch import device_type
from tempreg.models import SpikingNetwork
from tempreg.objectives import RateLoss, TETLoss, TRTLoss
from tempreg.report.figures import save_figure
from tempreg.run_landscape import (
    run_anytime,
    run_curvature,
    run_early,
    run_flatness,
    run_spikes,
)
from tempreg.runs import finished_summary, load_run
from tempreg.training.checkpoint import load_weights
from tempreg.training.run_directory import RunDirectory
from tempreg.training.streams import stream

Say = Callable[[str], None]


@dataclass(frozen=True)
class Material:
    """A finished run and the samples to analyse it on. Final.

    Attributes:
        path, config, data, model: the run; the model is in eval mode on `device`.
        inputs, targets: the chosen samples of one split, never augmented, always in one order.
        held_out: as many samples of the test split, or all of it.
        seed: of everything that an analysis draws.
        chunk: samples at once.
        brief: leave out what arms of a study are not compared by: other objectives, snapshots,
            held-out Fisher information, planes, and most of the draws.
        say: told what is being computed.
    """

    path: Path
    config: RunConfig
    data: DataSet
    model: SpikingNetwork
    inputs: Tensor
    targets: Tensor
    held_out: tuple[Tensor, Tensor]
    seed: int
    chunk: int
    brief: bool
    say: Say

    def objectives(self) -> dict[str, Loss]:
        """Rate, per-step cross-entropy, TET and TRT, with the settings of the run."""
        s = self.config.objective
        return {
            "rate": RateLoss(),
            "step": TETLoss(lam=0.0),
            "tet": TETLoss(lam=s.tet_lam, means=s.tet_means),
            "trt": TRTLoss(
                self.model, lam=s.lam, decay=s.decay, eps=s.eps, eta=s.eta, select=s.select
            ),
        }

    def snapshots(self) -> dict[str, SpikingNetwork]:
        """Networks as they were after some epochs, by name; see --snapshot-every."""
        made = {}
        for file in sorted(RunDirectory(self.path).checkpoint.parent.glob("epoch-*.safetensors")):
            model = build_model(self.config, self.data).to(self.inputs)
            load_weights(file, model)
            made[file.stem] = model.eval()
        return made


Analysis = Callable[[Material], dict[str, Result]]


def gradients(material: Material) -> dict[str, Result]:
    """All four objectives on the same weights and samples; the per-step one on each snapshot."""
    made: dict[str, Result] = {}
    objectives = material.objectives()
    if material.brief:
        return {"gradients-step": _gradients(material, material.model, objectives["step"])}
    for name, objective in objectives.items():
        material.say(f"temporal gradients, {name}")
        made[f"gradients-{name}"] = _gradients(material, material.model, objective)
    for stem, model in material.snapshots().items():
        material.say(f"temporal gradients, per-step loss, {stem}")
        made[f"gradients-{stem}"] = _gradients(material, model, objectives["step"])
    return made


def _gradients(material: Material, model: SpikingNetwork, objective: Loss) -> Result:
    x, y = material.inputs, material.targets
    return temporal_gradients(model, x, y, objective, chunk=material.chunk)


def fisher(material: Material) -> dict[str, Result]:
    """On the chosen samples, on held-out ones, and on each snapshot."""
    x, y = material.inputs, material.targets
    data = {
        "fisher": (material.model, x, y),
        "fisher-held-out": (material.model, *material.held_out),
    }
    if material.brief:
        del data["fisher-held-out"]
    else:
        data |= {f"fisher-{stem}": (model, x, y) for stem, model in material.snapshots().items()}
    made: dict[str, Result] = {}
    for name, (model, inputs, targets) in data.items():
        material.say(f"Fisher information, {name}")
        made[name] = fisher_information(
            model, inputs, targets, seed=material.seed, chunk=material.chunk
        )
    return made


ANALYSES: dict[str, Analysis] = {
    "gradients": gradients,
    "fisher": fisher,
    "flatness": run_flatness,
    "spikes": run_spikes,
    "anytime": run_anytime,
    "early": run_early,
    "curvature": run_curvature,
}


def analyze_run(
    path: Path, quantities: Sequence[str], *, samples: int = 256, split: str = "train",
    seed: int = 0, chunk: int = 16, device: str | None = None, brief: bool = False,
    say: Say = lambda text: None,
) -> dict[str, Result]:  # fmt: skip
    """Analyse a finished run; its folder then holds analysis/NAME.json and NAME.svg.

    Args:
        path: the run's folder.
        quantities: names from `ANALYSES`.
        samples: how many of the split, drawn by the seed; all of it where it has fewer.
        split: "train", "validation" or "test".
        seed, chunk, brief, say: see `Material`.
        device: "cpu" or "cuda" (default: as trained).

    Raises:
        RequestError: no finished run, one whose files don't fit each other, or bad arguments;
            then nothing is written.
    """
    for name in quantities:
        if name not in ANALYSES:
            raise ConfigError(f"unknown analysis {name!r}: choose of {', '.join(ANALYSES)}")
    for name, value in (("samples", samples), ("chunk", chunk)):
        if value < 1:
            raise ConfigError(f"{name} must be >= 1, got {value}")
    run = RunDirectory(path)
    run.check_run(finished=True)
    finished_summary(run)
    config, data, model, _ = load_run(path, **({} if device is None else {"device": device}))
    place = torch.device(device_type(config))
    model = model.to(place)
    like = next(model.parameters())

    def drawn(name: str) -> tuple[Tensor, Tensor]:
        part = data.split(name)
        order = torch.randperm(len(part), generator=stream(seed, "analysis"))
        x, y = part.batch(order[:samples].sort().values)
        return x.to(like), y.to(place)

    x, y = drawn(split)
    material = Material(path, config, data, model, x, y, drawn("test"), seed, chunk, brief, say)
    results: dict[str, Result] = {}
    for quantity in quantities:
        made = ANALYSES[quantity](material)
        folder = path / "analysis"
        folder.mkdir(exist_ok=True)
        for name, result in made.items():
            result.settings["split"] = "test" if name.endswith("held-out") else split
            result.settings["seed"] = seed
            result.save(folder / f"{name}.json")
            save_figure(result.figure(), folder / f"{name}.svg")
        results |= made
    return results
