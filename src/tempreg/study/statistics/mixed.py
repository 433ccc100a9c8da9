"""A difference for other items and other partitions: a linear model with both as random effects.

In repeated cross-validation every item is tested once in each partition, by a network that was
trained on others. The difference of two arms on item i in partition p is modelled as

    d[p, i] = mean + a[p] + b[i] + e[p, i]

with a, b and e of mean 0, so that the variance of the mean over P partitions and N items is

    var(a) / P + var(b) / N + var(e) / (P N)

The components are those of the analysis of variance in two ways (Searle, Casella and McCulloch
1992, chapter 4), which on a full table are those of restricted maximum likelihood wherever none of
them is negative. The degrees of freedom are Satterthwaite's (1946), and no fewer than P - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tempreg.study.statistics.bootstrap import mean_squares, satterthwaite
from tempreg.study.statistics.paired import CONFIDENCE


@final
@dataclass(frozen=True)
class MixedModel:
    """A mean difference with its variance components.

    Attributes:
        mean: of the table.
        low, high: of the t interval; NaN with one partition or one item.
        partitions, items, rest: the variances of a, b and e, >= 0.
    """

    mean: float
    low: float
    high: float
    partitions: float
    items: float
    rest: float


def mixed_model(table: NDArray[np.float64], *, confidence: float = CONFIDENCE) -> MixedModel:
    """The model above of a table of differences [P, N], by partition and item.

    A component that the analysis of variance estimates below 0 counts as 0.

    Raises:
        ValueError: the table isn't one, or not finite.
    """
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise ValueError(f"expected a finite table of partitions and items, got {table.shape}")
    count, items = table.shape
    mean = float(table.mean())
    if count < 2 or items < 2:
        return MixedModel(mean, nan, nan, nan, nan, nan)
    rows, columns, cells = mean_squares(table)
    by_partition = max(0.0, (rows - cells) / items)
    by_item = max(0.0, (columns - cells) / count)
    variance = by_partition / count + by_item / items + cells / table.size
    freedom = satterthwaite(table, rows, columns, cells)
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * sqrt(variance)
    return MixedModel(mean, mean - half, mean + half, by_partition, by_item, cells)
