"""How far a measurement repeats on other samples: the same of two halves of them.

The correlation of two halves is that of measurements with half the samples; with all of them it is
2 r / (1 + r) (Spearman 1910, Brown 1910).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def halves(units: Array, seed: int) -> Array:
    """Means over two halves of the units [N, ...], drawn by the seed: [2, ...], NaN where N < 2.

    Of an odd number the second half has one more. The same N and seed give the same halves, so
    that two networks, or one at two epochs, are halved alike.
    """
    if len(units) < 2:
        return np.full((2, *units.shape[1:]), np.nan)
    order = np.random.default_rng((seed, 2)).permutation(len(units))
    middle = len(units) // 2
    return np.stack([units[part].mean(axis=0) for part in (order[:middle], order[middle:])])


def reliability(pairs: Array) -> float:
    """The correlation of two rows [2, K], stepped up to twice the length (Spearman-Brown).

    A negative one is left as it is, for what the formula is about is none. NaN for fewer than
    three pairs, where a correlation is 1 or -1 whatever they are, or where a row doesn't vary.
    """
    if pairs.shape[1] < 3 or not np.isfinite(pairs).all() or not np.ptp(pairs, axis=1).all():
        return float("nan")
    r = float(np.corrcoef(pairs[0], pairs[1])[0][1])
    return 2 * r / (1 + r) if r > 0 else r
