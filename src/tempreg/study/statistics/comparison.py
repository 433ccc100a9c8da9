"""Every arm beside the reference: the primary endpoint with its intervals and tests."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Literal, final

from tempreg.study.results import StudyData, training_overlap
from tempreg.study.statistics.bootstrap import Interval
from tempreg.study.statistics.items import ENDPOINT, OF_NUMBERS, items_interval
from tempreg.study.statistics.paired import Paired, holm, mean_sd, paired, tost
from tempreg.study.statistics.reading import Reading, read_difference, within

MARGIN = 0.005
"""A difference of accuracies that matters: half a point."""

Verdict = Reading | Literal["reference", "not measured"]


@final
@dataclass(frozen=True)
class Comparison:
    """An arm's endpoint, and its paired difference from the reference.

    Attributes:
        n, mean, sd: finished runs of the arm, NaN where there is none.
        paired: of the differences; None for the reference, or where no pair is finished.
        items: the interval over runs and test items, where items were kept.
        p: Holm-adjusted over the arms.
        equal: p-value of the two one-sided tests.
        verdict: as `study.reading` has it, with `p` and `equal`.
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


@final
@dataclass(frozen=True)
class Beside:
    """A paired difference from another arm, one of several.

    Attributes:
        test: of the differences.
        p: Holm-adjusted over the arms.
        reading: as `study.reading` has it.
    """

    test: Paired
    p: float
    reading: Reading


def beside(study: StudyData, other: str, column: str, margin: float | None) -> dict[str, Beside]:
    """Every arm minus `other` by a column, those with two differences and more."""
    overlap = training_overlap(study)
    found = {a.name: study.differences(a.name, other, column) for a in study.arms}
    found = {arm: d for arm, d in found.items() if arm != other and len(d) > 1}
    tests = {arm: paired(d, overlap=overlap) for arm, d in found.items()}
    adjusted = holm([test.p for test in tests.values()])
    return {
        arm: Beside(t, p, read_difference(t, within(found[arm], margin, overlap), margin, p=p))
        for (arm, t), p in zip(tests.items(), adjusted, strict=True)
    }


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
        verdict = _verdict(arm == study.reference, test, p, equal, margin)
        comparisons.append(Comparison(arm, len(values), mean, sd, test, items, p, equal, verdict))
    return comparisons


def endpoint(study: StudyData) -> str:
    """The column that decides: study.yaml's, or what its runs have."""
    of_numbers = any(OF_NUMBERS in run.values for run in study.runs)
    return str(study.facts.get("endpoint") or (OF_NUMBERS if of_numbers else ENDPOINT))


def equality_margin(study: StudyData) -> float:
    """Differences of the endpoint below this are none that matter, in its unit."""
    return float(study.facts.get("margin") or MARGIN)


def accuracy_margin(study: StudyData) -> float:
    """The same for any accuracy, as a fraction: the study's, if its endpoint is one."""
    return equality_margin(study) if "accuracy" in endpoint(study) else MARGIN


def _verdict(reference: bool, test: Paired | None, p: float, equal: float, m: float) -> Verdict:
    if reference:
        return "reference"
    if test is None:
        return "not measured"
    return read_difference(test, equal, m, p=p)
