"""The one rule by which a difference is read, wherever the study names one.

In this order, so that a difference is never called real and none at once:

no relevant difference  two one-sided t tests place it within ±margin (p < 0.05), be it zero or not
higher, lower           p < 0.05, and the difference is at least as large as the margin
undecided               anything else
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Literal

from tempreg.study.statistics.paired import Paired, tost

ALPHA = 0.05

Reading = Literal["higher", "lower", "no relevant difference", "undecided"]


def read_difference(
    test: Paired, equal: float, margin: float | None, *, p: float | None = None
) -> Reading:
    """What a mean difference is called.

    Args:
        test: of the paired differences.
        equal: p-value of two one-sided tests against `margin`; NaN without a margin.
        margin: differences below it are none; None where nothing says how much matters, and
            then any difference that isn't zero counts.
        p: two-sided, in place of the test's own, as adjusted over several arms.
    """
    if margin is not None and equal < ALPHA:
        return "no relevant difference"
    if (test.p if p is None else p) < ALPHA and abs(test.mean) >= (margin or 0.0):
        return "higher" if test.mean > 0 else "lower"
    return "undecided"


def why_undecided(test: Paired, margin: float | None, p: float | None = None) -> str:
    """For a sentence: what keeps an undecided difference from being called anything."""
    if isnan(test.low):
        return f"the same with all {test.n} seeds, which says nothing of how far seeds lie apart"
    if margin is not None and (test.p if p is None else p) < ALPHA:
        return f"not zero, but shown neither {_within(margin)} nor as large as that"
    said = f"its interval leaves out 0, but {smaller_p('several')}; " if test.p < ALPHA else ""
    size = f"{test.detectable:.3f}" if margin is None else f"{100 * test.detectable:.2f} points"
    return said + unseen(size, test.n)


def smaller_p(tests: int | str) -> str:
    """For a sentence: why an interval that leaves out 0 isn't enough."""
    return f"with {tests} tests p has to be smaller (Holm)"


def unseen(size: str, seeds: int | str) -> str:
    """For a sentence: below which size, with its unit, differences are missed too often."""
    return f"a true difference smaller than about {size} may well go unseen with {seeds} seeds"


def why_irrelevant(test: Paired, equal: float, margin: float, p: float | None = None) -> str:
    """For a sentence: what "no relevant difference" is read from; `equal` as in the rule."""
    nonzero = test.p if p is None else p
    said = f"not zero (p = {nonzero:.2g}), but " if nonzero < ALPHA else ""
    return f"{said}{_within(margin)} (p = {equal:.2g})"


def _within(margin: float) -> str:
    return f"within ±{100 * margin:g} points"


def within(differences: Sequence[float], margin: float | None, overlap: float) -> float:
    """p-value of two one-sided tests; NaN without a margin or with too few differences."""
    return float("nan") if margin is None else tost(differences, margin, overlap=overlap)
