"""How a study's pages write what they have to write often."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

NOT_MEASURED = "Not measured in this study."
DASH = "–"  # noqa: RUF001 - as printed tables have it


def points(value: float) -> str:
    """A difference of fractions in percentage points."""
    return f"{100 * value:+.2f}"


def span(low: float, high: float, show: Callable[[float], str]) -> str:
    """An interval; of differences that are all the same there is none."""
    return "no interval" if isnan(low) else f"{show(low)} to {show(high)}"


def plain(value: float) -> str:
    """A difference of factors or timesteps."""
    return f"{value:+.3f}"
