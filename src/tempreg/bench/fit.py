"""How a cost grows: the exponent of a power law through measured points."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def exponent(costs: Mapping[int, float]) -> tuple[float, float]:
    """p of cost = a size^p and its standard error, by least squares of the logarithms.

    At least three sizes, and costs > 0. Two points of a curve that isn't a power law lie on
    none, and the standard error says so; what is constant (a call, the weights) lowers p.
    """
    if len(costs) < 3 or min(costs.values()) <= 0:
        raise ValueError(f"a fit needs three sizes or more, and costs above 0, got {dict(costs)}")
    x, y = np.log([*costs]), np.log([*costs.values()])
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    residual = y - y.mean() - slope * centred
    error = float(np.sqrt(residual @ residual / (len(x) - 2) / (centred @ centred)))
    return slope, error
