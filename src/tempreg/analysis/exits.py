"""When a network may answer before its last timestep, so that what is lost has a bound.

A sample's answer after t timesteps is the class of the largest mean logit so far; it is sure from
the first t on at which its score reaches a threshold. What is lost at a threshold is

    R = P(right after all timesteps, and wrong when it answers)

which is at least the accuracy lost. Learn then test (Angelopoulos et al. 2021, arXiv 2110.01052):
thresholds are tried from high to low on samples that chose nothing, each by the exact binomial test
of R > risk, and the search ends at the first that fails (fixed sequence testing, so no correction
for their number). The last that passed has P(R > risk) <= delta over draws of those samples. Which
thresholds are tried, and the temperature of each timestep, come from other samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tempreg.analysis.anytime import exit_steps
from tempreg.objectives.over_time import fit_temperature

Score = Literal["confidence", "entropy", "gap"]
SCORES: tuple[str, ...] = get_args(Score)
TRIED = 100
"""Thresholds, at equal shares of the scores."""
NEVER = 2.0
"""A threshold that no score reaches."""


@final
@dataclass(frozen=True)
class Calibration:
    """An exit with a guarantee, as calibration.json keeps it.

    Attributes:
        score: what a threshold is of: the largest probability, 1 - H / log C of the probabilities
            (their entropy H), or the largest less the second largest.
        risk, delta: the bound on R, and the share of calibrations that may miss it.
        threshold: from which score on a sample answers; `NEVER` where none could be shown to do.
        temperatures: by timestep, what mean logits are divided by, [T].
        least_probability: by timestep, what a class must have to be in the prediction set that
            holds the right one in at least 1 - risk of all samples, [T] (split conformal).
        samples: how many tested the thresholds.
        lost: of these, the share that the early answer loses.
        mean_steps: after how many timesteps these were answered.
    """

    score: Score
    risk: float
    delta: float
    threshold: float
    temperatures: list[float]
    least_probability: list[float]
    samples: int
    lost: float
    mean_steps: float


def scores(probabilities: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """How sure probabilities [..., C] are, in [0, 1]: see `Calibration.score`."""
    if kind == "confidence":
        return np.asarray(probabilities.max(axis=-1))
    if kind == "gap":
        top = np.partition(probabilities, -2, axis=-1)
        return np.asarray(top[..., -1] - top[..., -2])
    if kind == "entropy":
        logs = np.log(np.maximum(probabilities, np.finfo(float).tiny))
        entropy = -(probabilities * logs).sum(axis=-1)
        return np.asarray(1 - entropy / math.log(probabilities.shape[-1]))
    raise ValueError(f"unknown score {kind!r}: choose one of {', '.join(SCORES)}")


def calibrated(
    logits: Tensor,
    targets: Tensor,
    *,
    risk: float,
    delta: float = 0.1,
    score: Score = "confidence",
    seed: int = 0,
) -> Calibration:
    """The exit of a network, from samples that it was neither trained nor chosen on.

    Args:
        logits: of each timestep, [T, N, C], C >= 2; finite.
        targets: int64 [N].
        risk, delta: in (0, 1); see `Calibration`.
        seed: of the drawing of which half of the samples tests the thresholds.

    Raises:
        ValueError: of arguments out of range, or fewer samples than a threshold could pass with.
    """
    if logits.ndim != 3 or logits.shape[2] < 2 or targets.shape != logits.shape[1:2]:
        raise ValueError(
            f"expected logits [T, N, C >= 2] and targets [N], got {[*logits.shape]} and "
            f"{[*targets.shape]}"
        )
    for name, value in (("risk", risk), ("delta", delta)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must be in (0, 1), got {value}")
    logits, targets, count = logits.cpu(), targets.cpu(), logits.shape[1]
    if not enough(count, risk, delta):
        needed = 2 * _needed(risk, delta)
        raise ValueError(
            f"a risk of {risk:g} with delta {delta:g} needs {needed} samples, half of which "
            f"test thresholds, and {count} are there: allow a higher risk, or hold out more"
        )
    order = np.random.default_rng(seed).permutation(count)
    first, second = order[: count - count // 2], order[count - count // 2 :]
    steps = torch.arange(1, len(logits) + 1, dtype=torch.float64)[:, None, None]
    mean = logits.double().cumsum(0) / steps
    temperatures = [fit_temperature(m[first], targets[first]) for m in mean]
    scale = torch.tensor(temperatures, dtype=torch.float64)[:, None, None]
    probabilities = (mean / scale).softmax(dim=-1).numpy()
    labels = targets.numpy()
    sure = scores(probabilities, score)
    right = probabilities.argmax(axis=-1) == labels
    tried = np.unique(np.quantile(sure[:, first], np.linspace(0, 1, TRIED)))[::-1]
    threshold = _last_that_passes(sure[:, second], right[:, second], tried, risk, delta)
    exits = exit_steps(sure[:, second], threshold)
    of_target = np.take_along_axis(probabilities[:, second], labels[second][None, :, None], 2)
    return Calibration(
        score,
        risk,
        delta,
        threshold,
        temperatures,
        [_least(row, risk) for row in of_target[..., 0]],
        len(second),
        float(_lost(right[:, second], exits).mean()),
        float(exits.mean() + 1),
    )


def enough(samples: int, risk: float, delta: float) -> bool:
    """Whether a threshold could pass with so many samples, both numbers being in (0, 1)."""
    return samples // 2 >= _needed(risk, delta)


def _needed(risk: float, delta: float) -> int:
    """Of which none is lost."""
    return math.ceil(math.log(delta) / math.log(1 - risk))


def _lost(right: NDArray[np.bool_], exits: NDArray[np.intp]) -> NDArray[np.bool_]:
    return np.asarray(right[-1] & ~np.take_along_axis(right, exits[None], 0)[0])


def _last_that_passes(
    sure: NDArray[np.float64],
    right: NDArray[np.bool_],
    tried: NDArray[np.float64],
    risk: float,
    delta: float,
) -> float:
    from scipy.stats import binom

    passed = NEVER
    for threshold in tried:
        lost = int(_lost(right, exit_steps(sure, threshold)).sum())
        if binom.cdf(lost, sure.shape[1], risk) > delta:
            break
        passed = float(threshold)
    return passed


def _least(of_target: NDArray[np.float64], risk: float) -> float:
    """The split conformal bound: the floor((N + 1) risk)-th smallest; 0, all classes, if none."""
    place = math.floor((len(of_target) + 1) * risk)
    return float(np.sort(of_target)[place - 1]) if place >= 1 else 0.0
