"""`tempreg calibrate`: when a run's network may answer early, written beside its weights."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from tempreg.analysis.early_exits import Curve, answered, exit_curve
from tempreg.analysis.exits import SCORES, Calibration, calibrated
from tempreg.data.base import Split
from tempreg.errors import RequestError
from tempreg.files import write_json
from tempreg.foreign import sees_later
from tempreg.runs.launch import device_type
from tempreg.runs.own.trust import Trust
from tempreg.runs.read import load_run
from tempreg.training.arithmetic import arithmetic
from tempreg.training.run_directory import RunDirectory, RunDirectoryError

_BESIDE = ("split", "curve")
"""What calibration.json has beside the fields of `Calibration`; files of earlier versions lack the
last."""


def calibrate_run(
    path: Path,
    *,
    risk: float,
    delta: float = 0.1,
    score: str = "confidence",
    split: str = "validation",
    seed: int = 0,
    trust_code: bool | Trust = False,
) -> Calibration:
    """Calibrate the exit of a finished run, and replace its calibration.json.

    Args:
        path: the run's folder; its data is read.
        risk, delta, score, seed: see `tempreg.analysis.exits.calibrated`.
        split: "validation" or "test": the samples that decide. On those that chose the epoch the
            guarantee would not hold, so "validation" is refused of a run that kept its best.

    Raises:
        RequestError: the run's split can't serve, or is too small for the risk; or its neurons see
            later timesteps.
        RunDirectoryError, CheckpointError: the run can't be used.
    """
    if score not in SCORES:
        raise RequestError(f"unknown score {score!r}: choose one of {', '.join(SCORES)}")
    config, data, network, _ = load_run(path, trust_code=trust_code)
    if data.numbers:
        raise RequestError(
            f"the run in {path} answers with numbers, and what is calibrated is how sure it is of "
            "a class"
        )
    if name := sees_later(network):
        raise RequestError(
            f"the run in {path} can't answer early: {name} has psn neurons, whose spikes depend on "
            "later timesteps; train with masked_psn or sliding_psn for the neuron"
        )
    if config.keep != "last" and (split == "validation") == (config.keep == "best"):
        raise RequestError(
            f"the {split} samples of the run in {path} chose its epoch (keep: {config.keep}), so a "
            "threshold from them promises nothing: take --split "
            + ("test" if split == "validation" else "validation")
        )
    part = data.validation if split == "validation" else data.test
    if not len(part):
        raise RequestError(f"the run in {path} has no {split} samples: train with data.validation")
    logits, targets = answers_on(network.to(device_type(config)), part, config.batch_size)
    try:
        found = calibrated(
            logits,
            targets,
            risk=risk,
            delta=delta,
            score=score,  # type: ignore[arg-type]
            seed=seed,
        )
    except ValueError as error:
        raise RequestError(f"the {split} samples of the run in {path}: {error}") from None
    beside = {"split": split, "curve": _curve(found, logits, targets)}
    write_json(RunDirectory(path).calibration, asdict(found) | beside)
    return found


def _curve(found: Calibration, logits: Tensor, targets: Tensor) -> dict[str, list[float]]:
    """What `curve_of` reads back."""
    curve = exit_curve(logits, targets, found.temperatures, found.score)
    end = answered(found, logits, targets)
    chosen = [float(end.timesteps.mean()), float(end.right.mean())]
    return {"timesteps": curve.timesteps, "accuracy": curve.accuracy, "chosen": chosen}


@torch.no_grad()
def answers_on(network: nn.Module, part: Split, batch_size: int) -> tuple[Tensor, Tensor]:
    """Logits [T, N, C] of all samples, in evaluation, and their classes [N], on the CPU."""
    like = next(network.parameters())
    logits, targets = [], []
    network.eval()
    with arithmetic(like.device.type, tf32=False):
        for rows in torch.arange(len(part)).split(batch_size):
            x, y = part.batch(rows)
            logits.append(network(x.to(like)).double().cpu())
            targets.append(y)
    return torch.cat(logits, dim=1), torch.cat(targets)


def calibration_of(path: Path) -> Calibration | None:
    """What calibration.json of a run says; None where there is none.

    Raises RunDirectoryError where the file is damaged.
    """
    file = RunDirectory(path).calibration
    if not file.is_file():
        return None
    values: dict[str, Any] = RunDirectory(path).read_json(file)
    try:
        found = Calibration(**{k: v for k, v in values.items() if k not in _BESIDE})
        lists = (found.temperatures, found.least_probability)
        numbers = [found.risk, found.delta, found.threshold, *lists[0], *lists[1]]
        if found.score not in SCORES or not all(isinstance(n, (int, float)) for n in numbers):
            raise ValueError("a value is of another kind")
        if not all(math.isfinite(n) for n in numbers):
            raise ValueError("a number isn't finite")
        if not found.temperatures or min(found.temperatures) <= 0:
            raise ValueError("a temperature is not above 0")
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RunDirectoryError(
            f"{file} is damaged ({error}): make it again with `tempreg calibrate`"
        ) from None
    return found


@final
class ExitCurve(NamedTuple):
    """Of all samples that a calibration used: accuracy against mean timesteps.

    Attributes:
        curve: over all thresholds.
        chosen: mean timesteps and accuracy at the one that was calibrated.
    """

    curve: Curve
    chosen: tuple[float, float]


def curve_of(path: Path) -> ExitCurve | None:
    """What calibration.json has of it; None where an earlier version wrote it, or there is none.

    Raises RunDirectoryError where the file is damaged.
    """
    file = RunDirectory(path).calibration
    values = RunDirectory(path).read_json(file) if file.is_file() else {}
    found = values.get("curve")
    if found is None:
        return None
    try:
        lists = [[float(v) for v in found[name]] for name in ("timesteps", "accuracy", "chosen")]
        timesteps, accuracy, (steps, right) = lists
        finite = all(math.isfinite(v) for values in lists for v in values)
        if len(timesteps) != len(accuracy) or not timesteps or not finite:
            raise ValueError("the curve isn't of finite numbers, one a threshold")
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise RunDirectoryError(
            f"{file} is damaged ({error}): make it again with `tempreg calibrate`"
        ) from None
    return ExitCurve(Curve(timesteps, accuracy), (steps, right))
