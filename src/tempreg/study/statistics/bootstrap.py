"""Intervals over runs and test items at once, by resampling both.

A t interval over runs speaks of other seeds on the same test items. These speak of other seeds
and other items. Shapes: [R] runs, [N] test items, [B] draws.

Where runs share their test items, both are resampled independently (crossed). Such draws count
the noise of single cells three times (Owen 2007), which for networks that flip items at random
is most of the variance; so two of the three are taken off again. The interval is the mean ± t
times that standard error: quantiles of the draws (percentile, BCa) would be narrow with few runs,
for they know nothing of the t distribution's tails (Hesterberg 2015), and a mean over thousands of
items has no skew for BCa to correct.

Where each run has items of its own (nested), the spread of runs holds that of their items
already, so the t interval over runs speaks of other items too. Who speaks of more can't be surer:
no interval is narrower than that over runs, which overlapping training sets widen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tempreg.study.statistics.paired import CONFIDENCE, paired

Floats = NDArray[np.float64]
_MOST_NUMBERS = 4_000_000
"""At once in memory, 32 MB of them."""


@final
@dataclass(frozen=True)
class Interval:
    """Of a mean difference, over runs and items.

    Attributes:
        mean, low, high: in the unit of the differences; low and high NaN for a single run.
        resampled: "crossed" where all runs share their test items, else "nested".
        draws: how many resamples the standard error is from; 0 where none were needed.
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
    overlap: float = 0.0,
) -> Interval:
    """Interval of the mean of `differences`: R arrays, [N] each, by run and test item.

    With `shared_items`, item i is the same in every run. `overlap` is that of the runs' training
    sets, as in `statistics.paired`, whose interval is never the wider one.

    Raises:
        ValueError: there is no run, a run has no item, or shared items differ in number.
    """
    if not differences or any(d.ndim != 1 or d.size == 0 for d in differences):
        raise ValueError("expected one row of differences a run, with at least one item each")
    if draws < 2:
        raise ValueError(f"draws must be >= 2, got {draws}")
    rng = np.random.default_rng(seed)
    kind: Literal["crossed", "nested"] = "crossed" if shared_items else "nested"
    over_runs = paired([d.mean() for d in differences], confidence=confidence, overlap=overlap)
    mean, runs = over_runs.mean, len(differences)
    if runs < 2:
        return Interval(mean, nan, nan, kind, 0)
    if not shared_items:
        return Interval(mean, over_runs.low, over_runs.high, kind, 0)
    if len({d.size for d in differences}) > 1:
        raise ValueError("runs that share their test items must have equally many of them")
    table = np.stack(differences)
    means = crossed_means(table, draws, rng)
    rows, columns, cells = mean_squares(table)
    # Draws see the spread of R rows as (R - 1) / R of it.
    variance = float(means.var(ddof=1)) + (rows / runs - 2 * cells) / table.size
    variance = max(variance, rows / table.size) + overlap * rows / table.shape[1]
    freedom = satterthwaite(table, rows, columns, cells)
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * sqrt(variance)
    half = max(half, over_runs.half_width)
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


def mean_squares(table: Floats) -> tuple[float, float, float]:
    """Of rows, columns and cells of [R, N], as in an analysis of variance of two ways."""
    runs, items = table.shape
    mean, by_row, by_column = table.mean(), table.mean(axis=1), table.mean(axis=0)
    rows = items * float(((by_row - mean) ** 2).sum()) / (runs - 1)
    columns = runs * float(((by_column - mean) ** 2).sum()) / max(1, items - 1)
    rest = table - by_row[:, None] - by_column + mean
    return rows, columns, float((rest**2).sum()) / max(1, (runs - 1) * (items - 1))


def satterthwaite(table: Floats, rows: float, columns: float, cells: float) -> float:
    """Degrees of freedom of rows + columns - cells (Satterthwaite 1946), at least R - 1."""
    runs, items = table.shape
    scatter = (
        rows**2 / (runs - 1)
        + columns**2 / max(1, items - 1)
        + cells**2 / max(1, (runs - 1) * (items - 1))
    )
    total = max(rows, rows + columns - cells)
    return float(max(runs - 1, total**2 / scatter)) if scatter > 0 else float(runs - 1)


def _weights(rng: np.random.Generator, draws: int, size: int) -> Floats:
    """How often each of `size` things is drawn, over `size`: [B, size], rows that sum to 1."""
    picks = rng.integers(size, size=(draws, size)) + size * np.arange(draws)[:, None]
    return np.bincount(picks.ravel(), minlength=draws * size).reshape(draws, size) / size


def _chunks(total: int, width: int) -> list[tuple[int, int]]:
    step = max(1, _MOST_NUMBERS // width)
    return [(start, min(start + step, total)) for start in range(0, total, step)]
