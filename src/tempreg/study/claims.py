"""The paper's claims (arXiv 2506.19256), each a sentence made from the study's numbers.

A claim is supported where the 95% interval lies on its side of zero, not supported where it
lies on the other side or the two are equal within the margin, undecided otherwise. Whether
accuracy is higher is asked of every arm, so there p is adjusted over the arms as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import Literal

from tempreg.study.bootstrap import Interval
from tempreg.study.comparison import (
    ALPHA,
    ENDPOINT,
    Comparison,
    endpoint,
    equality_margin,
    items_interval,
    training_overlap,
)
from tempreg.study.results import StudyData
from tempreg.study.statistics import Paired, paired, tost

Verdict = Literal["supported", "not supported", "undecided", "not measured"]


@dataclass(frozen=True)
class Claim:
    """One claim and what the study says of it. Final.

    Attributes:
        text: what is claimed.
        verdict: in two words.
        detail: what was measured, of which arms, with its interval; else what it would need.
        figure: the difference with its interval alone, for a table; "" without one.
    """

    text: str
    verdict: Verdict
    detail: str
    figure: str = ""

    @property
    def said(self) -> str:
        """The verdict as it is read."""
        more = " at this number of seeds" if self.verdict == "undecided" else ""
        return self.verdict + more

    @property
    def sentence(self) -> str:
        """All of it, to quote."""
        return f"{self.text}: {self.said}. {self.detail}"


@dataclass(frozen=True)
class _Measure:
    """How a claim is decided: by which column, in which direction, said how."""

    text: str
    column: str
    sign: int
    words: str
    unit: str
    show: Callable[[float], str]


def points(value: float) -> str:
    """A difference of fractions in percentage points."""
    return f"{100 * value:+.2f}"


def plain(value: float) -> str:
    """A difference of anything else."""
    return f"{value:+.3g}"


MEASURES = (
    _Measure(
        "TRT mitigates temporal gradient vanishing",
        "gradient_decay",
        +1,
        "the factor by which gradients of per-step losses change with each step back in time",
        "",
        plain,
    ),
    _Measure(
        "TRT reduces overfitting",
        "generalization_gap",
        -1,
        "the gap from training to test accuracy",
        " points",
        points,
    ),
    _Measure(
        "TRT leads to flatter minima",
        "noise_accuracy_drop",
        -1,
        "the accuracy lost under relative weight noise",
        " points",
        points,
    ),
)
"""Claims about a difference between TRT and direct training in one measured figure."""

FIRST, END = "fisher_centroid_first", "fisher_centroid_end"
CONCENTRATES = "Fisher information concentrates in early timesteps during training with TRT"
ACCURACY = "TRT is more accurate than direct training"
BEYOND_L2 = "TRT is more accurate than L2 of matched strength"


def claims(study: StudyData, comparisons: list[Comparison]) -> list[Claim]:
    """A claim an entry, for the arms that `claim_arms` names."""
    treated, against, l2 = claim_arms(study)
    overlap = training_overlap(study)
    made = []
    for m in MEASURES:
        d = study.differences(treated, against, m.column) if treated and against else []
        made.append(_directed(m, d, f"{treated} minus {against}", overlap))
    shifts = _centroid_shifts(study, treated) if treated else []
    fisher = _Measure(
        CONCENTRATES, END, -1, "the information centroid after training minus after epoch 1",
        " timesteps", plain,
    )  # fmt: skip
    made.append(_directed(fisher, shifts, treated or "", overlap))
    made.append(_accuracy(study, comparisons, treated, against))
    made.append(_beyond_l2(study, treated, l2))
    return made


def claim_arms(study: StudyData) -> tuple[str | None, str | None, str | None]:
    """The arms that claims are about: TRT, what it is compared with, and its matched L2.

    study.yaml may name them (`claims`: `arm`, `against`, `l2`); else they are `trt`, the
    reference and `step+mse+l2`, where the study has them.
    """
    names = [arm.name for arm in study.arms]
    chosen = study.facts.get("claims") or {}
    wanted = (
        chosen.get("arm", "trt"),
        chosen.get("against", study.reference),
        chosen.get("l2", "step+mse+l2"),
    )
    treated, against, l2 = (name if name in names else None for name in wanted)
    return treated, (against if against != treated else None), l2


def _directed(measure: _Measure, differences: list[float], of: str, overlap: float) -> Claim:
    """A claim that a difference lies on one side of zero."""
    text = measure.text
    if len(differences) < 2:
        return _unmeasured(text, measure.words)
    test = paired(differences, overlap=overlap)
    if measure.sign * test.mean > 0 and test.low * test.high > 0:
        verdict: Verdict = "supported"
    elif measure.sign * test.mean < 0 and test.low * test.high > 0:
        verdict = "not supported"
    else:
        verdict = "undecided"
    figure = _figure(test, measure.show, measure.unit)
    words = measure.words[:1].upper() + measure.words[1:]
    detail = f"{words}, {of}: {figure}{_count(test)}"
    return Claim(text, verdict, detail, _short(test, measure.show, measure.unit))


def _accuracy(
    study: StudyData, comparisons: list[Comparison], treated: str | None, against: str | None
) -> Claim:
    found = next((c for c in comparisons if c.arm == treated), None)
    if found is None or found.paired is None or found.paired.n < 2 or against is None:
        return _unmeasured(ACCURACY, "accuracy of TRT and of the reference")
    if against != study.reference:
        return _pairwise(study, ACCURACY, str(treated), against, "direct training")
    test, margin = found.paired, equality_margin(study)
    said: dict[str, Verdict] = {"higher": "supported", "lower": "not supported"}
    verdict = said.get(found.verdict, "undecided")
    extra = f", p = {found.p:.2g} after Holm's adjustment"
    if found.verdict == "equal":
        verdict = "not supported"
        extra = f"; equal within ±{100 * margin:g} points (p = {found.equal:.2g})"
    figure = _figure(test, points, " points") + extra + _items(found.items)
    of = f"{treated} minus {against}"
    detail = f"Accuracy, {of}: {figure}{_count(test)}"
    return Claim(ACCURACY, verdict, detail, _short(test, points, " points"))


def _beyond_l2(study: StudyData, treated: str | None, l2: str | None) -> Claim:
    if treated is None or l2 is None:
        return _unmeasured(BEYOND_L2, "accuracy of TRT and of matched L2")
    return _pairwise(study, BEYOND_L2, treated, l2, "L2")


def _pairwise(study: StudyData, text: str, arm: str, other: str, name: str) -> Claim:
    """Two arms by accuracy: different, equal within the margin, or neither."""
    differences = study.differences(arm, other, endpoint(study))
    if len(differences) < 2:
        return _unmeasured(text, f"accuracy of {arm} and {other}")
    overlap, margin = training_overlap(study), equality_margin(study)
    test = paired(differences, overlap=overlap)
    equal = tost(differences, margin, overlap=overlap)
    within = f"within ±{100 * margin:g} points"
    verdict: Verdict = "undecided"
    if test.p < ALPHA:
        verdict = "supported" if test.mean > 0 else "not supported"
        extra = f"; different from {name}" + (f", though equal {within}" if equal < ALPHA else "")
    elif equal < ALPHA:
        verdict, extra = "not supported", f"; no difference from {name} {within} (p = {equal:.2g})"
    else:
        extra = f"; neither different from {name} nor equal {within}"
    items = None
    if endpoint(study) == ENDPOINT:
        items = items_interval(study, arm, other)
    figure = _figure(test, points, " points") + extra + _items(items)
    detail = f"Accuracy, {arm} minus {other}: {figure}{_count(test)}"
    return Claim(text, verdict, detail, _short(test, points, " points"))


def _centroid_shifts(study: StudyData, arm: str) -> list[float]:
    first, end = study.values(arm, FIRST), study.values(arm, END)
    return [end[name] - first[name] for name in study.replicates if name in first and name in end]


def _count(test: Paired) -> str:
    return f" ({test.n} repetitions)."


def _figure(test: Paired, show: Callable[[float], str], unit: str) -> str:
    return f"{show(test.mean)}{unit}, 95% interval {show(test.low)} to {show(test.high)}"


def _short(test: Paired, show: Callable[[float], str], unit: str) -> str:
    return f"{show(test.mean)} ({show(test.low)} to {show(test.high)}){unit}"


def _items(items: Interval | None) -> str:
    """The interval over items as well, and what it takes back where it holds zero."""
    if items is None or isnan(items.low):
        return ""
    said = f"; over runs and test items {points(items.low)} to {points(items.high)}"
    if items.low <= 0 <= items.high:
        said += ", so on other test items the sign could be another"
    return said


def _unmeasured(text: str, words: str) -> Claim:
    return Claim(text, "not measured", f"It would need {words}, in two finished repetitions.")
