"""Every arm beside the reference: the primary endpoint with its intervals and tests."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np

from tempreg.study.bootstrap import Interval, bootstrap
from tempreg.study.results import StudyData, test_items
from tempreg.study.statistics import Paired, holm, mean_sd, paired, tost

ENDPOINT = "mean_accuracy_over_steps"
"""Test accuracy averaged over timesteps, of the last epoch."""

MARGIN = 0.005
"""Accuracies closer than this, half a point, count as equal where a test says so."""
ALPHA = 0.05

Verdict = Literal["reference", "higher", "lower", "equal", "undecided", "not measured"]


@dataclass(frozen=True)
class Comparison:
    """An arm's endpoint, and its paired difference from the reference. Final.

    Attributes:
        n, mean, sd: finished runs of the arm, NaN where there is none.
        paired: of the differences; None for the reference, or where no pair is finished.
        items: the interval over runs and test items, where items were kept.
        p: Holm-adjusted over the arms.
        equal: p-value of the two one-sided tests.
        verdict: higher, lower: p < 0.05; else equal: equal < 0.05; else undecided.
    """

    arm: str
    n: int
    mean: float
    sd: float
    paired: Paired | None
    items: Interval | None
    p: float
    equal: float
    verdict: Verdict


def compare_arms(study: StudyData, *, seed: int = 0, draws: int = 2000) -> list[Comparison]:
    """The study's endpoint, an entry an arm in the study's order; `seed` is the bootstrap's."""
    column, margin, overlap = endpoint(study), equality_margin(study), training_overlap(study)
    differences = {
        arm.name: study.differences(arm.name, study.reference, column)
        for arm in study.arms
        if arm.name != study.reference
    }
    tests = {arm: paired(d, overlap=overlap) for arm, d in differences.items() if d}
    adjusted = dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))
    comparisons = []
    for arm in (a.name for a in study.arms):
        values = list(study.values(arm, column).values())
        mean, sd = mean_sd(values) if values else (nan, nan)
        test = tests.get(arm)
        p, equal = adjusted.get(arm, nan), nan
        items = None
        if test is not None:
            equal = tost(differences[arm], margin, overlap=overlap)
            if column == ENDPOINT:
                items = items_interval(study, arm, study.reference, seed=seed, draws=draws)
        verdict = _verdict(arm == study.reference, test, p, equal)
        comparisons.append(Comparison(arm, len(values), mean, sd, test, items, p, equal, verdict))
    return comparisons


def items_interval(
    study: StudyData, arm: str, other: str, *, seed: int = 0, draws: int = 2000
) -> Interval | None:
    """Of accuracy averaged over timesteps, over runs and items; None without kept items."""
    a, b = study.finished(arm), study.finished(other)
    rows, items = [], []
    for name in study.replicates:
        if name not in a or name not in b:
            continue
        ours, theirs = test_items(a[name]), test_items(b[name])
        if ours is None or theirs is None or not np.array_equal(ours[1], theirs[1]):
            return None
        rows.append(ours[0].mean(axis=0) - theirs[0].mean(axis=0))
        items.append(ours[1])
    if not rows:
        return None
    shared = all(np.array_equal(items[0], other_items) for other_items in items)
    return bootstrap(rows, shared_items=shared, seed=seed, draws=draws)


def endpoint(study: StudyData) -> str:
    """The column that decides."""
    return str(study.facts.get("endpoint") or ENDPOINT)


def equality_margin(study: StudyData) -> float:
    """Differences below this are none, as a fraction."""
    return float(study.facts.get("margin") or MARGIN)


def training_overlap(study: StudyData) -> float:
    """Test size over training size where runs are folds of one pool, else 0.

    study.yaml's `overlap`, or as its settings of folds and validation have it.
    """
    if "overlap" in study.facts:
        return float(study.facts["overlap"])
    base = study.facts.get("base") or {}
    data = base.get("data") or {}
    folds = data.get("folds", 0)
    return 1 / ((folds - 1) * (1 - data.get("validation", 0.0))) if folds > 1 else 0.0


def _verdict(reference: bool, test: Paired | None, p: float, equal: float) -> Verdict:
    if reference:
        return "reference"
    if test is None:
        return "not measured"
    if p < ALPHA:
        return "higher" if test.mean > 0 else "lower"
    return "equal" if equal < ALPHA else "undecided"
