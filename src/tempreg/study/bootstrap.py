"""Intervals over runs and test items at once, by resampling both.

A t interval over runs speaks of other seeds on the same test items. These speak of other seeds
and other items. Shapes: [R] runs, [N] test items, [B] draws.

The interval is the mean ± t(R - 1) times the bootstrap's standard error, which is widened by
sqrt(R / (R - 1)): quantiles of the draws (percentile, BCa) would be narrow with few runs, for
the draws see the spread of R runs as R - 1 of it, and know nothing of the t distribution's
tails (Hesterberg 2015); over 3 runs they cover far less than they say. A mean over thousands
of items is close to symmetric, so BCa's correction would have nothing to correct.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tempreg.study.statistics import CONFIDENCE

Floats = NDArray[np.float64]
_MOST_NUMBERS = 4_000_000
"""At once in memory, 32 MB of them."""


@dataclass(frozen=True)
class Interval:
    """Of a mean difference, over runs and items. Final.

    Attributes:
        mean, low, high: in the unit of the differences; low and high NaN for a single run.
        resampled: "crossed" where all runs share their test items, else "nested".
        draws: how many resamples the standard error is from.
    """

    mean: float
    low: float
    high: float
    resampled: Literal["crossed", "nested"]
    draws: int


def bootstrap(
    differences: Sequence[Floats],
    *,
    shared_items: bool,
    seed: int = 0,
    draws: int = 2000,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Interval of the mean of `differences`: R arrays, [N] each, by run and test item.

    With `shared_items`, item i is the same in every run, and runs and items are resampled
    independently of each other (crossed, as two random effects; on the safe side, for the
    noise in single cells is counted more than once: Owen 2007). Without, each run has items
    of its own: runs are resampled, and items inside each drawn run.

    Raises:
        ValueError: there is no run, a run has no item, or shared items differ in number.
    """
    if not differences or any(d.ndim != 1 or d.size == 0 for d in differences):
        raise ValueError("expected one row of differences a run, with at least one item each")
    if draws < 2:
        raise ValueError(f"draws must be >= 2, got {draws}")
    rng = np.random.default_rng(seed)
    kind: Literal["crossed", "nested"] = "crossed" if shared_items else "nested"
    mean, runs = float(np.mean([d.mean() for d in differences])), len(differences)
    if runs < 2:
        return Interval(mean, nan, nan, kind, 0)
    if shared_items:
        if len({d.size for d in differences}) > 1:
            raise ValueError("runs that share their test items must have equally many of them")
        means = crossed_means(np.stack(differences), draws, rng)
    else:
        means = nested_means(differences, draws, rng)
    error = float(means.std(ddof=1)) * sqrt(runs / (runs - 1))
    half = float(stats.t.ppf((1 + confidence) / 2, runs - 1)) * error
    return Interval(mean, mean - half, mean + half, kind, draws)


def crossed_means(differences: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Means [B] of `differences` [R, N] under independent resampling of rows and columns."""
    runs, items = differences.shape
    means = np.empty(draws)
    for start, stop in _chunks(draws, items):
        rows = _weights(rng, stop - start, runs)
        columns = _weights(rng, stop - start, items)
        means[start:stop] = np.einsum("bn,bn->b", rows @ differences, columns)
    return means


def nested_means(differences: Sequence[Floats], draws: int, rng: np.random.Generator) -> Floats:
    """Means [B] under resampling of runs, and of the items of each drawn run anew."""
    runs = len(differences)
    chosen = rng.integers(runs, size=(draws, runs))
    values = np.empty((draws, runs))
    for run, d in enumerate(differences):
        places = np.flatnonzero(chosen == run)
        for start, stop in _chunks(len(places), d.size):
            picked = d[rng.integers(d.size, size=(stop - start, d.size))].mean(axis=1)
            values.flat[places[start:stop]] = picked
    return np.asarray(values.mean(axis=1))


def _weights(rng: np.random.Generator, draws: int, size: int) -> Floats:
    """How often each of `size` things is drawn, over `size`: [B, size], rows that sum to 1."""
    picks = rng.integers(size, size=(draws, size)) + size * np.arange(draws)[:, None]
    return np.bincount(picks.ravel(), minlength=draws * size).reshape(draws, size) / size


def _chunks(total: int, width: int) -> list[tuple[int, int]]:
    step = max(1, _MOST_NUMBERS // width)
    return [(start, min(start + step, total)) for start in range(0, total, step)]
