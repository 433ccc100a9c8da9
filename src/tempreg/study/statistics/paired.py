"""Statistics of paired runs: intervals, adjusted p-values, equivalence, and what could be seen.

Differences are an arm's figure minus another arm's, paired by seed and split. A study asks one
question of many arms, so p-values are adjusted over the arms (Holm 1979), and that a
difference is too small to matter is said only after two one-sided tests (Schuirmann 1987).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isnan, nan, sqrt
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq

CONFIDENCE = 0.95


@final
@dataclass(frozen=True)
class Paired:
    """What n paired differences say; NaN where n is too small to say it, or where all of them are
    the same and not 0, as few seeds on few test items can have it: nothing says how far they lie.

    Attributes:
        n: differences, >= 1.
        mean, sd: of the differences; sd with n - 1 below.
        low, high: t interval of the mean.
        p: two-sided, of no difference.
        confidence, overlap: as in `paired`.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p: float
    confidence: float
    overlap: float

    @property
    def detectable(self) -> float:
        """The true difference that would be seen with 80% power, given this sd."""
        if isnan(self.low):
            return nan
        alpha = 1 - self.confidence
        return detectable_difference(self.sd, self.n, alpha=alpha, overlap=self.overlap)

    @property
    def half_width(self) -> float:
        """Of the interval."""
        return (self.high - self.low) / 2


def paired(
    differences: ArrayLike, *, confidence: float = CONFIDENCE, overlap: float = 0.0
) -> Paired:
    """t interval and test of the mean of `differences` [n].

    Args:
        differences: finite; ValueError where empty or not.
        confidence: of the interval, in (0, 1).
        overlap: test size over training size where the runs' training sets are folds of one
            pool, else 0. Such runs are not independent, and the variance of the mean is taken
            as sd^2 (1/n + overlap) (Nadeau and Bengio 2003; for repeated cross-validation
            Bouckaert and Frank 2004).
    """
    d = _finite(differences)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    if overlap < 0:
        raise ValueError(f"overlap must be >= 0, got {overlap}")
    n, mean = len(d), float(d.mean())
    if n < 2:
        return Paired(n, mean, nan, nan, nan, nan, confidence, overlap)
    sd = _sd(d)
    if _spreadless(mean, sd):
        return Paired(n, mean, sd, nan, nan, nan, confidence, overlap)
    error = sd * sqrt(1 / n + overlap)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    p = _tail(-abs(mean), error, n - 1) * 2
    return Paired(n, mean, sd, mean - half, mean + half, min(1.0, p), confidence, overlap)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979), in the given order; NaN is not a test and stays NaN."""
    adjusted = list(p_values)
    order = sorted((i for i, p in enumerate(p_values) if not isnan(p)), key=p_values.__getitem__)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def tost(differences: ArrayLike, margin: float, *, overlap: float = 0.0) -> float:
    """p-value of "the true mean difference lies outside ±margin": two one-sided t tests.

    Below 0.05 the difference is within the margin. NaN for fewer than 2 differences, and for equal
    ones that aren't 0.
    """
    if margin <= 0:
        raise ValueError(f"margin must be > 0, got {margin}")
    d = _finite(differences)
    if len(d) < 2:
        return nan
    error = _sd(d) * sqrt(1 / len(d) + overlap)
    mean = float(d.mean())
    if _spreadless(mean, _sd(d)):
        return nan
    return max(_tail(-(mean + margin), error, len(d) - 1), _tail(mean - margin, error, len(d) - 1))


def power(
    difference: float, sd: float, n: int, *, alpha: float = 0.05, overlap: float = 0
) -> float:
    """Probability that a two-sided paired t test at `alpha` sees a true `difference`."""
    shift = abs(difference) / (sd * sqrt(1 / n + overlap))
    critical = float(stats.t.ppf(1 - alpha / 2, n - 1))
    # Averaged over the distribution of the sample sd; scipy's noncentral t gives NaN in its tails.
    spread = critical * _sample_sds(n)
    return float((stats.norm.cdf(shift - spread) + stats.norm.cdf(-shift - spread)).mean())


def detectable_difference(
    sd: float, n: int, *, target: float = 0.8, alpha: float = 0.05, overlap: float = 0.0
) -> float:
    """The smallest true difference that is seen with probability `target`; NaN for n < 2."""
    if n < 2 or isnan(sd):
        return nan
    if sd == 0:
        return 0.0
    most = 2 * (float(stats.t.ppf(1 - alpha / 2, n - 1)) + 4) * sd * sqrt(1 / n + overlap)
    return float(brentq(lambda d: power(d, sd, n, alpha=alpha, overlap=overlap) - target, 0, most))


def mean_sd(values: ArrayLike) -> tuple[float, float]:
    """Mean and standard deviation (n - 1 below; NaN for one value) of finite `values`."""
    v = _finite(values)
    return float(v.mean()), _sd(v) if len(v) > 1 else nan


@lru_cache
def _sample_sds(n: int) -> NDArray[np.float64]:
    """The distribution of the sd of n normal values, as its quantiles in the middle of 4,000."""
    quantiles = stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, n - 1)
    return np.asarray(np.sqrt(quantiles / (n - 1)))


def _spreadless(mean: float, sd: float) -> bool:
    """Whether differences are the same but for rounding, and not 0."""
    return mean != 0 and sd <= 1e-9 * abs(mean)


def _sd(values: NDArray[np.float64]) -> float:
    """Exactly 0 for equal values, where a mean that rounds would leave 1e-17."""
    return 0.0 if (values == values[0]).all() else float(values.std(ddof=1))


def _tail(difference: float, error: float, freedom: int) -> float:
    """P(t <= difference / error); with no spread at all, 0, 1/2 or 1."""
    if error == 0:
        return float(0.5 * (1 + np.sign(difference)))
    return float(stats.t.cdf(difference / error, freedom))


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"expected one or more finite numbers in a row, got {values!r}")
    return array
