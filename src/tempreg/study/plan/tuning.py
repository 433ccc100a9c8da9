"""How arms choose their free settings on validation: as many trials each, more at an edge.

An arm's free settings are the strengths of its penalties, else of its last term that has one,
else the learning rate. Candidates stand on a grid. Where the best is at an edge of it, a point
beyond the edge is tried, up to `EXTENSIONS` times. What is tried follows from the scores so far
alone, so that a study that was stopped goes on with the same trials.

A plain L2 penalty that shall shrink the weights as much as TRT's does ("l2n") is no choice: its
strength is searched for until the norm of the weights is within `TOLERANCE` of the paired arm's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from tempreg.config import RunConfig
from tempreg.config.dotted import setting_of
from tempreg.options import Term, parse_objective
from tempreg.options.terms import LOGIT_PENALTIES, PENALTIES
from tempreg.study.plan.arms import Arm

LEARNING_RATES = (0.25, 0.5, 1.0, 2.0)
"""Factors of the study's learning rate, which arms without a strength of their own try."""
EXTENSIONS = 3
TOLERANCE = 0.02
MATCHING = 6
"""Strengths that are tried at most until the norms agree."""

Candidate = dict[str, Any]
"""Settings by dotted name."""


def grid(arm: Arm, base: RunConfig, count: int, *, learning_rate: bool = True) -> list[Candidate]:
    """What an arm tries first: `count` values of its free setting, or points of several.

    Args:
        arm: a setting that it fixes is not tried.
        base: settings of the study, which factors are relative to.
        count: >= 0.
        learning_rate: whether arms without a strength try that.
    """
    axes = free_settings(arm, base)
    if not axes or not count or (axes.keys() == {"optimizer.lr"} and not learning_rate):
        return []
    each = math.ceil(count ** (1 / len(axes)))
    values = [_middle(axis, each) if len(axes) > 1 else axis[:count] for axis in axes.values()]
    return [dict(zip(axes, point, strict=True)) for point in product(*values)][:count]


def free_settings(arm: Arm, base: RunConfig) -> dict[str, tuple[float, ...]]:
    """The settings that an arm may choose, by dotted name, with the values that it tries."""
    terms = parse_objective(str(arm.changes["objective.name"])).terms
    tried = [term for term in terms if any(name not in arm.changes for name in term.tries)]
    strengths = [term for term in tried if term.group in (PENALTIES, LOGIT_PENALTIES)]
    axes: dict[str, tuple[float, ...]] = {}
    for term in strengths or tried[-1:]:
        axes |= _values(term, base)
    if not axes and "optimizer.lr" not in arm.changes:
        axes["optimizer.lr"] = tuple(base.optimizer.lr * factor for factor in LEARNING_RATES)
    return axes


def _values(term: Term, base: RunConfig) -> dict[str, tuple[float, ...]]:
    scales = {name: setting_of(base, name) if term.factors else 1.0 for name in term.tries}
    return {
        name: tuple(float(f"{scales[name] * value:.6g}") for value in values)
        for name, values in term.tries.items()
    }


def _middle(values: Sequence[float], count: int) -> Sequence[float]:
    skipped = max(0, len(values) - count) // 2
    return values[skipped : skipped + count]


def beyond_the_edge(
    tried: Sequence[Candidate], scores: Sequence[float | None], first: int
) -> Candidate | None:
    """The next point to try where the best so far is at an edge of what was tried; else None.

    Args:
        tried: candidates in order; they share their settings.
        scores: of each, None where it failed.
        first: how many of them were the grid.
    """
    best = best_of(scores)
    if best is None or len(tried) >= first + EXTENSIONS:
        return None
    for name, value in tried[best].items():
        values = sorted({candidate[name] for candidate in tried})
        if len(values) < 2:
            continue
        if value == values[-1]:
            further = _above(values, name)
        elif value == values[0]:
            further = values[0] ** 2 / values[1]
        else:
            continue
        point = tried[best] | {name: float(f"{further:.6g}")}
        if point not in tried:
            return point
    return None


_SHARES = (
    "objective.eta",
    "objective.distill",
    "objective.smoothing",
    "objective.tet_lam",
    "objective.tks_alpha",
)
"""Settings that end at 1: beyond the largest value, half of what is left is tried."""


def _above(values: Sequence[float], name: str) -> float:
    return (1 + values[-1]) / 2 if name in _SHARES else values[-1] ** 2 / values[-2]


def at_an_edge(tried: Sequence[Candidate], best: int) -> list[str]:
    """The settings whose chosen value is the smallest or largest that was tried."""
    found = []
    for name, value in tried[best].items():
        values = {candidate[name] for candidate in tried}
        if len(values) > 1 and value in (min(values), max(values)):
            found.append(name)
    return found


def best_of(scores: Sequence[float | None]) -> int | None:
    """The place of the highest score, the first of equals; None where there is none."""
    known = [(score, -place) for place, score in enumerate(scores) if score is not None]
    return -max(known)[1] if known else None


def next_strength(start: float, reached: Mapping[float, float], norm: float) -> float | None:
    """The strength of plain L2 to try next, so that the weights' norm comes to `norm`.

    The logarithm of the norm is taken as linear in that of the strength between the two nearest
    tries, and as falling with a slope of -1/4 beyond the outermost where there is only one side.

    Args:
        start: the first strength, > 0.
        reached: the norms of the strengths that were tried.
        norm: the one that is wanted, > 0.

    Returns:
        None where a norm is within `TOLERANCE`, or `MATCHING` were tried.
    """
    if not reached:
        return start
    if len(reached) >= MATCHING or abs(closest(reached, norm)[1] / norm - 1) <= TOLERANCE:
        return None
    weaker = [pair for pair in reached.items() if pair[1] > norm]
    stronger = [pair for pair in reached.items() if pair[1] <= norm]
    if weaker and stronger:
        (low, high_norm), (high, low_norm) = max(weaker), min(stronger)
        place = math.log(high_norm / norm) / math.log(high_norm / low_norm)
        found = low * (high / low) ** min(max(place, 0.1), 0.9)
    else:
        outermost, at = max(weaker) if weaker else min(stronger)
        found = outermost * min(max((at / norm) ** 4, 1 / 30), 30.0)
    return float(f"{found:.6g}")


def closest(reached: Mapping[float, float], norm: float) -> tuple[float, float]:
    """The strength whose norm is nearest by ratio, and that norm."""
    return min(reached.items(), key=lambda pair: abs(math.log(pair[1] / norm)))


def paired(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """The arm with TRT's penalty in the place of this one's "l2n", and all else alike; None where
    the strength of that L2 is given."""
    mine = parse_objective(str(arm.changes["objective.name"]))
    if mine.penalty != "l2n" or "objective.l2" in arm.changes:
        return None
    for other in arms:
        theirs = parse_objective(str(other.changes["objective.name"]))
        if theirs == mine.with_penalty("trt") and _others(other) == _others(arm):
            return other
    return None


def _others(arm: Arm) -> Candidate:
    """What an arm changes beside its objective's name and the strength of its penalty."""
    own = ("objective.name", "objective.lam", "objective.l2")
    return {name: value for name, value in arm.changes.items() if name not in own}
