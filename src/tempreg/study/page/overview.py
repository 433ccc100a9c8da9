"""What a reader of one minute takes away of a study, and before it what it holds for."""

from __future__ import annotations

from typing import get_args

from tempreg.report.page import Section
from tempreg.study.cautions import caution_sentences
from tempreg.study.page.claims import Claim, Verdict
from tempreg.study.page.confirmatory import confirmatory_sentence
from tempreg.study.page.effects import effect_sentences
from tempreg.study.page.opening import arms_key
from tempreg.study.page.outcome import accuracy_sentences, endpoint_words, outcome
from tempreg.study.page.penalty import activity_sentence
from tempreg.study.page.regime import regime
from tempreg.study.results import StudyData
from tempreg.study.statistics.comparison import Comparison, accuracy_margin, endpoint
from tempreg.study.statistics.items import ENDPOINT

_FIRM: tuple[Verdict, ...] = ("supported", "contradicted")
FIRST, LAST = "accuracy_t1", "test_accuracy"


def overview_section(study: StudyData, comparisons: list[Comparison], made: list[Claim]) -> Section:
    """What was done, what each part does, how the arms stand, and what of the paper holds."""
    confirmatory = confirmatory_sentence(study)
    texts = [
        _trained(study),
        arms_key(study),
        regime(study),
        _readings(study),
        confirmatory or "",
        *effect_sentences(study),
        activity_sentence(study),
        _rank_of_the_ranking(study, comparisons, after=confirmatory is not None),
        *accuracy_sentences(study, comparisons, endpoint_words(study)),
        *_ends(study),
        *_of_the_paper(made),
        *caution_sentences(study),
    ]
    return Section("Overview", [text for text in texts if text])


def _trained(study: StudyData) -> str:
    """How many runs there are of how many."""
    planned, left = len(study.arms) * len(study.replicates), len(study.unfinished())
    said = f"{len(study.arms)} training methods (arms) on the same data, networks and seeds"
    if not left:
        each = f"each trained {len(study.replicates)} times"
        return f"{said}, {each}: {planned} runs, all of them finished."
    counts = sorted({len(study.finished(arm.name)) for arm in study.arms})
    many = f"{counts[0]} to {counts[-1]}" if counts[1:] else f"{counts[0]}"
    return (
        f"{said}. Not all is there: of {planned} runs, {len(study.replicates)} an arm, "
        f"{planned - left} have a result ({many} an arm), and {left} have none (see below)."
    )


def _readings(study: StudyData) -> str:
    """What the words of a reading mean."""
    margin = f"{100 * accuracy_margin(study):g} points"
    return (
        f'How differences are called: "higher" and "lower" are shown, and at least {margin}; '
        f'"no relevant difference" is shown to lie within ±{margin}, whether it is zero or not; '
        'anything else is "undecided", or open.'
    )


def _rank_of_the_ranking(study: StudyData, comparisons: list[Comparison], *, after: bool) -> str:
    """What the comparison of all arms is by, and whether it is second to a confirmatory test."""
    tests = sum(c.paired is not None and c.paired.n > 1 for c in comparisons)
    if not tests:
        return ""
    named = ", the endpoint of study.yaml" if study.facts.get("endpoint") else ""
    many = f"p is adjusted over {tests} tests (Holm)" if tests > 1 else "one test"
    second = "Secondary, and exploratory beside that test: every arm" if after else "Every arm"
    return f"{second} minus {study.reference} by {endpoint_words(study)}{named}; {many}."


def _ends(study: StudyData) -> list[str]:
    """How the arms stand after the first timestep and after the last, which a mean hides."""
    if endpoint(study) != ENDPOINT or not any(FIRST in run.values for run in study.runs):
        return []
    columns = {
        FIRST: "test accuracy after the first timestep",
        LAST: "test accuracy after the last timestep",
    }
    said = [outcome(study, column, words, points=True) for column, words in columns.items()]
    return [sentence for sentence in said if sentence]


def _of_the_paper(made: list[Claim]) -> list[str]:
    """The verdict on each claim of the paper that was measured, with figures where it is firm."""
    groups: dict[Verdict, list[Claim]] = {}
    for claim in made:
        groups.setdefault(claim.verdict, []).append(claim)
    firm = [
        f"{claim.text}: {verdict}, by {claim.difference}, {claim.figure}"
        + (f"; but {claim.but}." if claim.but else ".")
        for verdict in _FIRM
        for claim in groups.get(verdict, [])
    ]
    rest = "; ".join(
        f"{verdict}: {', '.join(claim.text for claim in groups[verdict])}"
        for verdict in get_args(Verdict)
        if verdict in groups and verdict not in (*_FIRM, "not measured")
    )
    return [*firm, f"The paper's {'other ' * bool(firm)}claims, {rest}."] if rest else firm
