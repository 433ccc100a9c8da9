"""`tempreg analyze`: the analyses of a finished run, written into its folder.

To add one, write a function of `Material` that returns results by file name, and its line in
`ANALYSES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tempreg.analysis import Result
from tempreg.analysis.fisher import ESTIMATORS, LABELS
from tempreg.config import ConfigError
from tempreg.report.figures import save_figure
from tempreg.runs.exits import run_exits
from tempreg.runs.identity import finished_summary
from tempreg.runs.landscape import (
    run_anytime,
    run_curvature,
    run_early,
    run_flatness,
    run_spikes,
)
from tempreg.runs.launch import device_type
from tempreg.runs.material import Material, Say
from tempreg.runs.over_time import run_fisher, run_gradients
from tempreg.runs.own.trust import Trust, as_trust
from tempreg.runs.read import load_run
from tempreg.training.arithmetic import arithmetic
from tempreg.training.run_directory import RunDirectory
from tempreg.training.streams import stream

Analysis = Callable[[Material], dict[str, Result]]


ANALYSES: dict[str, Analysis] = {
    "gradients": run_gradients,
    "fisher": run_fisher,
    "flatness": run_flatness,
    "spikes": run_spikes,
    "anytime": run_anytime,
    "early": run_early,
    "exits": run_exits,
    "curvature": run_curvature,
}


OF_NUMBERS = ("gradients", "spikes")
"""Those that a run has whose answers are numbers."""


def analyze_run(
    path: Path,
    quantities: Sequence[str],
    *,
    samples: int = 256,
    split: str = "train",
    seed: int = 0,
    chunk: int = 16,
    device: str | None = None,
    brief: bool = False,
    estimator: str = "exact",
    labels: str = "true",
    draws: int | None = None,
    gains: bool = False,
    say: Say = lambda text: None,
    trust_code: bool | Trust = False,
) -> dict[str, Result]:
    """Analyse a finished run; its folder then holds analysis/NAME.json and NAME.svg.

    Args:
        path: the run's folder.
        quantities: names from `ANALYSES`.
        samples: how many of the split, drawn by the seed; all of it where it has fewer.
        split: "train", "validation" or "test".
        seed, chunk, brief, estimator, labels, gains, say: see `Material`.
        draws: of the weight noise, at each strength (default: 5; if brief, 20).
        device: "auto", "cpu" or "cuda" (default: as trained; the CPU where there is no other).
        trust_code: whether code that the run names may be imported, see `load_run`.

    Raises:
        RequestError: no finished run, one whose files don't fit each other, or bad arguments;
            then nothing is written.
    """
    draws = (20 if brief else 5) if draws is None else draws
    _check(quantities, {"samples": samples, "chunk": chunk, "draws": draws}, estimator, labels)
    material = _material(
        path,
        samples,
        split,
        device,
        seed=seed,
        chunk=chunk,
        estimator=estimator,
        labels=labels,
        draws=draws,
        gains=gains,
        brief=brief,
        say=say,
        trust=as_trust(trust_code),
    )
    if material.data.numbers:
        quantities = _of_numbers(path, quantities, say)
    results: dict[str, Result] = {}
    with arithmetic(next(material.model.parameters()).device.type, tf32=False):
        for quantity in quantities:
            made = ANALYSES[quantity](material)
            _write(made, material, split)
            results |= made
    return results


def _material(
    path: Path,
    samples: int,
    split: str,
    device: str | None,
    *,
    seed: int,
    trust: Trust,
    **how: Any,
) -> Material:
    """The run with its samples drawn."""
    run = RunDirectory(path)
    run.refuse_links()
    run.check_run(finished=True)
    epoch = finished_summary(run).get("kept_epoch")
    config, data, model, objective = load_run(
        path, trust_code=trust, **({} if device is None else {"device": device})
    )
    place = torch.device(device_type(config))
    model = model.to(place)
    like = next(model.parameters())

    def drawn(name: str) -> tuple[Tensor, Tensor]:
        part = data.split(name)
        if not len(part):
            raise ConfigError(f"the run in {path} holds no {name} data out: choose another split")
        order = torch.randperm(len(part), generator=stream(seed, "analysis"))
        x, y = part.batch(order[:samples].sort().values)
        return x.to(like), y.to(place)

    x, y = drawn(split)
    return Material(
        path=path,
        config=config,
        data=data,
        model=model,
        objective=objective,
        epoch=config.epochs if epoch is None else int(epoch),
        inputs=x,
        targets=y,
        held_out=drawn("test"),
        seed=seed,
        trust=trust,
        **how,
    )


def _of_numbers(path: Path, quantities: Sequence[str], say: Say) -> list[str]:
    """The analyses that don't ask for classes; ConfigError where none is left."""
    kept = [name for name in quantities if name in OF_NUMBERS]
    left = ", ".join(name for name in quantities if name not in OF_NUMBERS)
    if not kept:
        raise ConfigError(
            f"the run in {path} answers with numbers, and {left} is of classes: choose of "
            f"{', '.join(OF_NUMBERS)}"
        )
    if left:
        say(f"left out, for these are of classes, and the run answers with numbers: {left}")
    return kept


def _check(quantities: Sequence[str], counts: dict[str, int], estimator: str, labels: str) -> None:
    for name in quantities:
        if name not in ANALYSES:
            raise ConfigError(f"unknown analysis {name!r}: choose of {', '.join(ANALYSES)}")
    for name, value in counts.items():
        if value < 1:
            raise ConfigError(f"{name} must be >= 1, got {value}")
    if estimator not in ESTIMATORS:
        raise ConfigError(f"unknown estimator {estimator!r}: choose of {', '.join(ESTIMATORS)}")
    if labels not in LABELS:
        raise ConfigError(f"unknown labels {labels!r}: choose of {', '.join(LABELS)}")


def _write(made: dict[str, Result], material: Material, split: str) -> None:
    """Results and their pictures, into the run's folder."""
    folder = material.path / "analysis"
    folder.mkdir(exist_ok=True)
    for name, result in made.items():
        result.settings["split"] = "test" if name.endswith("held-out") else split
        result.settings["seed"] = material.seed
        if material.config.keep == "best-on-test":
            result.settings["chosen_on_test"] = True
        result.save(folder / f"{name}.json")
        save_figure(result.figure(), folder / f"{name}.svg")
