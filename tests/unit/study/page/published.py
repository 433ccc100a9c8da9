"""What the published CSV files say, computed with NumPy and SciPy alone: an oracle for the pages.

Nothing here uses the project's statistics: a shared mistake would then be no mistake.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import stats

ROOT = Path(__file__).parents[4]
STUDIES = ROOT / "docs" / "study"
NAMES = {"N-MNIST": "nmnist", "Fashion-MNIST": "fashion", "CIFAR-10": "cifar10"}
MARGIN = 0.005
POINTS = frozenset(
    {
        "mean_accuracy_over_steps", "accuracy_t1", "test_accuracy", "train_accuracy",
        "generalization_gap", "noise_accuracy_drop",
    }
)  # fmt: skip
"""Columns whose differences are in points and have the margin; "shift" is of two columns."""


@dataclass(frozen=True)
class Difference:
    """A mean difference, its 95% interval, its p, and that of two one-sided tests."""

    n: int
    mean: float
    low: float
    high: float
    p: float
    outside: float


@cache
def rows(study: str) -> list[dict[str, str]]:
    with (STUDIES / study / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@cache
def facts(study: str) -> dict[str, object]:
    read: dict[str, object] = yaml.safe_load((STUDIES / study / "study.yaml").read_text())
    return read


def arms(study: str) -> list[str]:
    return list(dict.fromkeys(row["arm"] for row in rows(study)))


def column(study: str, arm: str, name: str) -> NDArray[np.float64]:
    """An arm's values by repetition; empty where it lacks them."""
    if name == "shift":
        ends = column(study, arm, "fisher_centroid_end")
        return ends - column(study, arm, "fisher_centroid_first")
    found = {r["replicate"]: r[name] for r in rows(study) if r["arm"] == arm}
    assert all(r["status"] == "finished" for r in rows(study))
    return np.array([float(found[key]) for key in sorted(found)])


def correction(study: str) -> float:
    """Nadeau and Bengio's: test size over training size, by the recordings of 5 folds."""
    return (1 / 5) / (4 / 5 * 0.9) if study == "nmnist" else 0.0


def difference(study: str, arm: str, other: str, name: str) -> Difference | None:
    """Paired, `arm` minus `other`; None where the study lacks one of them."""
    if arm not in arms(study) or other not in arms(study):
        return None
    return beside_zero(study, column(study, arm, name) - column(study, other, name))


def beside_zero(study: str, d: NDArray[np.float64]) -> Difference:
    """Of differences by repetition."""
    n, mean = len(d), float(d.mean())
    error = float(d.std(ddof=1)) * np.sqrt(1 / n + correction(study))
    t = stats.t(n - 1)
    half = t.ppf(0.975) * error
    outside = max(t.sf((mean + MARGIN) / error), t.cdf((mean - MARGIN) / error))
    p = 2 * t.sf(abs(mean) / error)
    return Difference(n, mean, mean - half, mean + half, float(p), float(outside))


def holm(p: list[float]) -> list[float]:
    """Step by step, as Holm (1979) writes it: the smallest times n, the next times n - 1."""
    left, adjusted, floor = sorted(p), {}, 0.0
    for i, value in enumerate(left):
        floor = max(floor, min(1.0, value * (len(p) - i)))
        adjusted[value] = floor
    return [adjusted[value] for value in p]


def reading(d: Difference, name: str, p: float) -> str:
    """The rule as docs/studies.md states it."""
    if name in POINTS and d.outside < 0.05:
        return "no relevant difference"
    if p < 0.05 and (name not in POINTS or abs(d.mean) >= MARGIN):
        return "higher" if d.mean > 0 else "lower"
    return "undecided"


def shown(value: float, name: str) -> str:
    """As the pages write a difference."""
    return f"{100 * value:+.2f}" if name in POINTS else f"{value:+.3f}"


def figure(d: Difference, name: str) -> str:
    mean, low, high = (shown(value, name) for value in (d.mean, d.low, d.high))
    return f"{mean} ({low} to {high})"
