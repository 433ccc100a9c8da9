"""The paper's claims (arXiv 2506.19256), each a sentence made from the study's numbers.

Every claim is about one paired difference between two arms, read by `study.reading`: supported
where it lies on the claim's side, contradicted where it lies on the other, no relevant
difference, or undecided. Accuracies have the study's margin; factors and timesteps have none.
That gradients vanish less can be tested only on data that needs time (see `page.temporal`).
Whether accuracy is higher is asked of every arm, so there p is adjusted over the arms as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan
from typing import Literal, final

from tempreg.study.page.credit import doubts, l2_in_place
from tempreg.study.page.measures import (
    GAP,
    LAST_STEP,
    MEASURES,
    Measure,
    centroid_shifts,
    matched_words,
    paired_words,
)
from tempreg.study.page.temporal import (
    DECAY,
    SET_BY_TAU,
    beside_shift,
    gradient_claim,
    needs_time,
)
from tempreg.study.page.words import plain, points, span
from tempreg.study.results import StudyData, training_overlap
from tempreg.study.statistics.bootstrap import Interval
from tempreg.study.statistics.comparison import (
    Comparison,
    accuracy_margin,
    endpoint,
    equality_margin,
)
from tempreg.study.statistics.items import ENDPOINT, items_interval
from tempreg.study.statistics.paired import Paired, paired
from tempreg.study.statistics.reading import (
    read_difference,
    why_irrelevant,
    why_undecided,
    within,
)

Verdict = Literal[
    "supported",
    "contradicted",
    "no relevant difference",
    "undecided",
    "not measured",
    "not testable here",
]


@final
@dataclass(frozen=True)
class Claim:
    """One claim and what the study says of it.

    Attributes:
        text: what is claimed.
        verdict: in two words.
        detail: what was measured, of which arms, with its interval; else what it would need.
        figure: the difference with its interval alone, for a table; "" without one.
        difference: which difference that is, "MEASURE, ARM minus ARM"; "" without one.
        but: what else could have made it, also the end of `detail`; "" where nothing says so.
    """

    text: str
    verdict: Verdict
    detail: str
    figure: str = ""
    difference: str = ""
    but: str = ""

    @property
    def said(self) -> str:
        """The verdict as it is read."""
        more = {"undecided": " at this number of seeds", "not testable here": f": {SET_BY_TAU}"}
        return self.verdict + more.get(self.verdict, "")

    @property
    def sentence(self) -> str:
        """All of it, to quote."""
        return f"{self.text}: {self.said}. {self.detail}"


CONCENTRATES = Measure(
    "Fisher information concentrates in early timesteps during training with TRT",
    "",
    -1,
    "change of the information centroid from epoch 1 to the end of training",
    " timesteps",
    plain,
)
ACCURACY = Measure(
    "TRT is more accurate than direct training",
    "",
    +1,
    "test accuracy averaged over timesteps",
    " points",
    points,
)
BEYOND_L2 = Measure(
    "TRT is more accurate than L2 of matched strength",
    "",
    +1,
    "test accuracy averaged over timesteps",
    " points",
    points,
)


def claims(study: StudyData, comparisons: list[Comparison]) -> list[Claim]:
    """A claim an entry, for the arms that `claim_arms` names."""
    treated, against, l2 = claim_arms(study)
    made = [_gradients(study, treated, against)]
    for m in MEASURES[1:]:
        d = study.differences(treated, against, m.column) if treated and against else []
        more = paired_words(study, treated, against) if m is GAP and d else ""
        made.append(_judged(study, m, d, (treated, against), more=more))
    d, more = centroid_shifts(study, treated, against) if treated and against else ([], "")
    if treated and against:
        more += beside_shift(study, treated, against)
    made.append(_judged(study, CONCENTRATES, d, (treated, against), more=more))
    made.append(_accuracy(study, comparisons, treated, against))
    made.append(_beyond_l2(study, treated, l2))
    d = study.differences(treated, against, LAST_STEP.column) if treated and against else []
    made.append(_judged(study, LAST_STEP, d, (treated, against)))
    return made


def claim_arms(study: StudyData) -> tuple[str | None, str | None, str | None]:
    """The arms that claims are about: TRT, what it is compared with, and its matched L2.

    study.yaml may name them (`claims`: `arm`, `against`, `l2`); else they are `trt`, the
    reference, and L2 in the place of the first one's penalty: the one that ends with the same norm
    of the weights where the study has it, before the one that is matched at initialisation.
    """
    arms = {arm.name: arm for arm in study.arms}
    chosen = study.facts.get("claims") or {}
    treated, against = chosen.get("arm", "trt"), chosen.get("against", study.reference)
    l2 = chosen.get("l2") or (l2_in_place(study, arms[treated]) if treated in arms else None)
    treated, against, l2 = (name if name in arms else None for name in (treated, against, l2))
    return treated, (against if against != treated else None), l2


def _gradients(study: StudyData, treated: str | None, against: str | None) -> Claim:
    pair = (treated, against)
    if treated is None or against is None:
        return _judged(study, DECAY, [], pair)
    measure, differences, more = gradient_claim(study, treated, against)
    testable = needs_time(study)
    return _judged(study, measure, differences, pair, more=more, testable=testable)


def _accuracy(
    study: StudyData, comparisons: list[Comparison], treated: str | None, against: str | None
) -> Claim:
    """By the endpoint; beside the reference it is one of many tests, elsewhere the only one."""
    measure, pair = _of_endpoint(study, ACCURACY), (treated, against)
    found = next((c for c in comparisons if c.arm == treated), None)
    if treated is None or against is None or found is None:
        return _judged(study, measure, [], pair)
    differences = study.differences(treated, against, endpoint(study))
    if against == study.reference:
        return _judged(study, measure, differences, pair, p=found.p, items=found.items)
    items = _items_of(study, treated, against)
    return _judged(study, measure, differences, pair, items=items)


def _beyond_l2(study: StudyData, treated: str | None, l2: str | None) -> Claim:
    measure, pair = _of_endpoint(study, BEYOND_L2), (treated, l2)
    if treated is None or l2 is None:
        return _judged(study, measure, [], pair)
    differences = study.differences(treated, l2, endpoint(study))
    more = matched_words(study, treated, l2)
    return _judged(
        study, measure, differences, pair, items=_items_of(study, treated, l2), more=more
    )


def _judged(
    study: StudyData,
    measure: Measure,
    differences: list[float],
    pair: tuple[str | None, str | None],
    *,
    p: float | None = None,
    items: Interval | None = None,
    more: str = "",
    testable: bool = True,
) -> Claim:
    """A claim from its differences. `p` is Holm's, in place of the test's own."""
    if len(differences) < 2:
        said = f"It would need {measure.words} of both arms, in two finished repetitions."
        return Claim(measure.text, "not measured", said)
    overlap, margin = training_overlap(study), _margin(study, measure)
    test, equal = paired(differences, overlap=overlap), within(differences, margin, overlap)
    found = read_difference(test, equal, margin, p=p)
    verdict: Verdict
    if found in ("higher", "lower"):
        verdict = "supported" if (found == "higher") == (measure.sign > 0) else "contradicted"
    else:
        verdict = "no relevant difference" if found == "no relevant difference" else "undecided"
    if not testable:
        verdict = "not testable here"
    known = "" if isnan(test.low) else "95% interval "
    said = f"{measure.show(test.mean)}{measure.unit}, {known}{_interval(test, measure)}"
    if p is not None and not isnan(p):
        said += f", p = {p:.2g} after Holm's adjustment"
    if verdict == "no relevant difference":
        said += f"; {why_irrelevant(test, equal, margin or nan, p)}"
    elif verdict == "undecided":
        said += f"; {why_undecided(test, margin, p)}"
    words, of = measure.words[:1].upper() + measure.words[1:], f"{pair[0]} minus {pair[1]}"
    but = ""
    if verdict == "supported" and pair[0] and pair[1]:
        column = _column(study, measure)
        but = doubts(study, pair[0], pair[1], column, margin)
    more += f"; but {but}" if but else ""
    detail = f"{words}, {of}: {said}{_items(items, test)}{more} ({test.n} repetitions)."
    figure = f"{measure.show(test.mean)} ({_interval(test, measure)}){measure.unit}"
    return Claim(measure.text, verdict, detail, figure, f"{measure.words}, {of}", but)


def _margin(study: StudyData, measure: Measure) -> float | None:
    """Below which a difference matters to nobody; None where nothing says so."""
    if measure.unit != " points":
        return None
    return accuracy_margin(study) if measure.column else equality_margin(study)


def _column(study: StudyData, measure: Measure) -> str:
    """What its differences are of; "" where that is no column."""
    return endpoint(study) if measure.text in (ACCURACY.text, BEYOND_L2.text) else measure.column


def _of_endpoint(study: StudyData, measure: Measure) -> Measure:
    if endpoint(study) == ENDPOINT:
        return measure
    return measure.called(endpoint(study).replace("_", " "))


def _items_of(study: StudyData, arm: str, other: str) -> Interval | None:
    return items_interval(study, arm, other) if endpoint(study) == ENDPOINT else None


def _interval(test: Paired, measure: Measure) -> str:
    return span(test.low, test.high, measure.show)


def _items(items: Interval | None, test: Paired) -> str:
    """The interval over items as well, where it is another than that over runs."""
    if items is None or isnan(items.low) or items.resampled == "nested":
        return ""
    said = f"; over runs and test items {points(items.low)} to {points(items.high)}"
    if items.low <= 0 <= items.high and test.low * test.high > 0:
        said += ", so on other test items the sign could be another"
    return said
