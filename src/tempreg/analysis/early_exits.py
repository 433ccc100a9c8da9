"""How soon a network answers, so that networks are compared at an equal risk.

A confidence of 0.9 means something else of each network; a risk doesn't. For each risk the exit is
calibrated as `tempreg.analysis.exits` says, on samples that trained and chose nothing, and counted
on others: after how many timesteps they are answered in the mean, how many right answers are lost,
and how many answers are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tempreg.analysis.aligned import aligned
from tempreg.analysis.anytime import exit_steps
from tempreg.analysis.exits import Calibration, calibrated, enough, scores
from tempreg.analysis.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
RISKS = (0.02, 0.05, 0.1)
LEVELS = 41
"""Thresholds of a curve, at equal shares of the scores."""


@final
class Answered(NamedTuple):
    """Samples under an exit, [N] each.

    Attributes:
        timesteps: after how many each is answered, from 1.
        right: whether the answer is right.
        right_at_end: whether it would be after all timesteps.
    """

    timesteps: NDArray[np.int64]
    right: NDArray[np.bool_]
    right_at_end: NDArray[np.bool_]


@final
class Curve(NamedTuple):
    """By threshold, from the lowest on, [K]: mean timesteps, and share of right answers. Final."""

    timesteps: list[float]
    accuracy: list[float]


def answered(found: Calibration, logits: Tensor, targets: Tensor) -> Answered:
    """What a calibrated exit makes of logits [T, N, C], with targets int64 [N]."""
    sure, right = _sure_and_right(logits, targets, found.temperatures, found.score)
    return _at(sure, right, found.threshold)


def exit_curve(
    logits: Tensor, targets: Tensor, temperatures: Sequence[float], score: str = "confidence"
) -> Curve:
    """Accuracy against mean timesteps, as the threshold of the score rises.

    Args:
        logits: of each timestep, [T, N, C]; finite.
        targets: int64 [N].
        temperatures: by timestep, [T], what mean logits are divided by.
        score: see `Calibration.score`.
    """
    sure, right = _sure_and_right(logits, targets, temperatures, score)
    levels = np.unique(np.quantile(sure, np.linspace(0, 1, LEVELS)))
    ends = [_at(sure, right, level) for level in levels]
    curve = {float(e.timesteps.mean()): float(e.right.mean()) for e in ends}
    return Curve(list(curve), list(curve.values()))


def _sure_and_right(
    logits: Tensor, targets: Tensor, temperatures: Sequence[float], score: str
) -> tuple[Array, NDArray[np.bool_]]:
    """The score and whether the class is right, by timestep and sample, [T, N]."""
    steps = torch.arange(1, len(logits) + 1, dtype=torch.float64)[:, None, None]
    scale = torch.tensor([*temperatures], dtype=torch.float64)[:, None, None]
    mean = logits.double().cpu().cumsum(0) / steps
    probabilities = (mean / scale).softmax(dim=-1).numpy()
    right = probabilities.argmax(axis=-1) == targets.cpu().numpy()
    return scores(probabilities, score), right


def _at(sure: Array, right: NDArray[np.bool_], threshold: float) -> Answered:
    exits = exit_steps(sure, threshold)
    return Answered(exits + 1, np.take_along_axis(right, exits[None], 0)[0], right[-1])


@final
@dataclass(frozen=True, kw_only=True)
class EarlyExits(Result):
    """Answers at equal risk, on samples that the exits were not calibrated on.

    At risks that too few samples could show, the rest is NaN; where no threshold could be shown,
    the network answers after its last timestep. The curve has all thresholds, from the lowest on.
    """

    quantity: ClassVar[str] = "exits"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {
        "risk": ("risk",),
        "threshold": ("risk",),
        "timesteps": ("risk",),
        "lost": ("risk",),
        "accuracy": ("risk",),
        "curve_timesteps": ("threshold",),
        "curve_accuracy": ("threshold",),
    }
    units: ClassVar[dict[str, str]] = {
        "risk": "share of samples",
        "threshold": "score",
        "timesteps": "mean until the answer",
        "lost": "share of samples",
        "accuracy": "share of samples",
        "curve_timesteps": "mean until the answer",
        "curve_accuracy": "share of samples",
    }
    risk: Array
    threshold: Array
    timesteps: Array
    lost: Array
    accuracy: Array
    curve_timesteps: Array
    curve_accuracy: Array

    def table(self) -> str:
        """A row a risk."""
        heads = ("risk", "timesteps", "lost", "accuracy")
        columns = (self.timesteps, self.lost, self.accuracy)
        rows = [(f"{r:g}", *row) for r, *row in zip(self.risk, *columns, strict=True)]
        return aligned(heads, rows)

    def figure(self) -> Figure:
        """Accuracy against mean timesteps, with a mark at each risk."""
        from tempreg.analysis.figures.exits import exits_figure

        marks = {
            f"risk {r:g}": (t, a)
            for r, t, a in zip(self.risk, self.timesteps, self.accuracy, strict=True)
            if np.isfinite(t)
        }
        curve = Curve(self.curve_timesteps.tolist(), self.curve_accuracy.tolist())
        return exits_figure(curve, marks)


def early_exits(
    logits: Tensor,
    targets: Tensor,
    *,
    calibration: tuple[Tensor, Tensor],
    risks: Sequence[float] = RISKS,
    delta: float = 0.1,
    seed: int = 0,
) -> EarlyExits:
    """How soon the answers of a network come at each risk.

    Args:
        logits, targets: [T, N, C] and int64 [N], of the samples that are answered.
        calibration: the same of others, on which the network was neither trained nor chosen.
        risks: at least one, each in (0, 1): the most that may be lost.
        delta: in (0, 1): the share of calibrations that may miss the risk.
        seed: of which half of the others tests the thresholds.

    Raises:
        ValueError: arguments out of range, or shapes that don't fit.
    """
    if not risks or not 0 < min(risks) <= max(risks) < 1:
        raise ValueError(f"risks must be at least one number in (0, 1), got {[*risks]}")
    if not 0 < delta < 1:
        raise ValueError(f"delta must be in (0, 1), got {delta}")
    known, labels = calibration
    if logits.ndim != 3 or logits.shape[0] != known.shape[0] or logits.shape[2] != known.shape[2]:
        raise ValueError(
            f"logits {[*logits.shape]} and those to calibrate on {[*known.shape]} must both be "
            "[T, N, C], with one T and C"
        )
    found: dict[float, Calibration] = {}
    for risk in risks:
        if enough(len(labels), risk, delta):
            found[risk] = calibrated(known, labels, risk=risk, delta=delta, seed=seed)
    rows = np.full((4, len(risks)), np.nan)
    for column, risk in enumerate(risks):
        if risk in found:
            end = answered(found[risk], logits, targets)
            lost = (end.right_at_end & ~end.right).mean()
            rows[:, column] = (
                found[risk].threshold, end.timesteps.mean(), lost, end.right.mean()
            )  # fmt: skip
    none = [1.0] * len(logits)
    temperatures = next((f.temperatures for f in found.values()), none)
    curve = exit_curve(logits, targets, temperatures)
    return EarlyExits(
        risk=np.array(risks, dtype=np.float64),
        threshold=rows[0],
        timesteps=rows[1],
        lost=rows[2],
        accuracy=rows[3],
        curve_timesteps=np.array(curve.timesteps),
        curve_accuracy=np.array(curve.accuracy),
        settings={
            "samples": len(targets), "calibrated on": len(labels), "T": len(logits),
            "delta": delta, "temperatures": temperatures,
        },
    )  # fmt: skip
