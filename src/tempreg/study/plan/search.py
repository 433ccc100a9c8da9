"""What an arm tries on validation beyond a grid: points spread evenly over ranges of settings.

lam=1e-6..1e-2      a range; logarithmic where it spans a factor of ten or more above zero

The points are a scrambled Halton sequence (Owen 2017, as in SciPy): every count of them fills
the space, they need no results of one another, so that they run at once and a search that was
stopped goes on, and all arms that share their settings try the same ones.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, final

from tempreg.config import ConfigError
from tempreg.config.dotted import leaves
from tempreg.options import parse_objective


@final
@dataclass(frozen=True)
class Range:
    """Values that a setting may take.

    Attributes:
        setting: its dotted name.
        low, high: the ends, low < high; both included only by rounding.
        log: whether the logarithm is spread evenly, instead of the value.
        whole: whether values are integers.
    """

    setting: str
    low: float
    high: float
    log: bool
    whole: bool

    def at(self, place: float) -> float:
        """The value at a place from 0 to 1."""
        if self.log:
            value = self.low * (self.high / self.low) ** place
        else:
            value = self.low + (self.high - self.low) * place
        return round(value) if self.whole else float(f"{value:.3g}")


def parse_range(text: str) -> Range:
    """SETTING=LOW..HIGH; ConfigError where it is none."""
    key, _, ends = text.partition("=")
    numbers = re.fullmatch(r"(.+?)\.\.(.+)", ends)
    kinds = {dotted: kind for dotted, kind, _ in leaves()}
    setting = f"objective.{key}" if f"objective.{key}" in kinds else key
    if numbers is None:
        raise ConfigError(f"--search {text!r}: expected SETTING=LOW..HIGH, as lam=1e-6..1e-2")
    if setting not in kinds:
        raise ConfigError(f"--search {text!r}: unknown setting {key}")
    try:
        low, high = float(numbers[1]), float(numbers[2])
    except ValueError:
        raise ConfigError(f"--search {text!r}: {ends!r} are not two numbers") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"--search {text!r}: the first number must be below the second")
    return Range(setting, low, high, low > 0 and high >= 10 * low, kinds[setting] is int)


def search_points(
    ranges: tuple[Range, ...], changes: dict[str, Any], count: int
) -> list[dict[str, Any]]:
    """`count` points over the ranges that an arm with these `changes` reads and doesn't fix."""
    from scipy.stats import qmc

    reads = parse_objective(str(changes["objective.name"])).reads
    free = []
    for r in ranges:
        section, _, name = r.setting.partition(".")
        if r.setting not in changes and (section != "objective" or name in reads):
            free.append(r)
    if not free or not count:
        return []
    places = qmc.Halton(len(free), seed=0).random(count)
    return [{r.setting: r.at(float(x)) for r, x in zip(free, row, strict=True)} for row in places]
