"""What is said of time: whether a study's data can test a claim about gradients over time, what the
arms' own losses bring to the first timestep, and what stands beside the Fisher information.
"""

from __future__ import annotations

import math

import numpy as np

from tempreg.analysis.halves import reliability
from tempreg.study.page.measures import MEASURES, Measure, centroid_shifts
from tempreg.study.page.words import plain, span
from tempreg.study.results import StudyData, training_overlap
from tempreg.study.statistics.paired import paired

NEEDS_TIME = frozenset({"nmnist-gap", "fashion-gap", "fashion-motion"})
"""Data sets whose answer needs something carried over timesteps."""

SET_BY_TAU = "set by tau (theory 8 to 10)"
"""Why other data can't test the claim: how far a gradient goes back is a product of factors that
depend on tau and the surrogate, docs/theory.md, and nothing there needs it to go far."""

DECAY = MEASURES[0]
FIRST_LAST = Measure(
    DECAY.text,
    "gradient_first_last",
    +1,
    "gradient of the arm's own loss at the first timestep over that at the last",
    " orders of magnitude",
    plain,
)


def needs_time(study: StudyData) -> bool:
    """Whether the study's data needs time: one of `NEEDS_TIME`, or where study.yaml says it of
    other data (`claims`: `needs_time`)."""
    chosen = study.facts.get("claims") or {}
    if "needs_time" in chosen:
        return bool(chosen["needs_time"])
    base = study.facts.get("base") or {}
    return (base.get("data") or {}).get("name") in NEEDS_TIME


def first_last_changes(study: StudyData, arm: str, other: str, column: str) -> list[float]:
    """log10 of the ratios of `arm` minus that of `other`, by repetition."""
    a, b = study.values(arm, column), study.values(other, column)
    shared = [r for r in study.replicates if a.get(r, 0) > 0 and b.get(r, 0) > 0]
    return [math.log10(a[r] / b[r]) for r in shared]


def gradient_claim(study: StudyData, arm: str, other: str) -> tuple[Measure, list[float], str]:
    """By what the claim of vanishing gradients is judged, its differences, and words beside.

    By the arms' own losses where the data needs time and they were measured; else by the decay.
    """
    own = first_last_changes(study, arm, other, FIRST_LAST.column)
    decay = study.differences(arm, other, DECAY.column)
    early = first_last_changes(study, arm, other, f"{FIRST_LAST.column}_epoch_1")
    at_first = _beside(study, "after epoch 1", FIRST_LAST, early)
    if needs_time(study) and len(own) > 1:
        return FIRST_LAST, own, at_first + _beside(study, DECAY.words, DECAY, decay)
    return DECAY, decay, _beside(study, FIRST_LAST.words, FIRST_LAST, own) + at_first


def beside_shift(study: StudyData, arm: str, other: str) -> str:
    """The centroid's change by the published estimator, and how far the exact one repeats."""
    said = ""
    ways = (("fisher_batch", "true labels"), ("fisher_batch_sampled", "sampled labels"))
    for column, words in ways:
        d, _ = centroid_shifts(study, arm, other, column)
        said += _beside(study, f"as published, by batches with {words}", None, d)
    both = [_half_changes(study, arm, other, half) for half in (1, 2)]
    shared = [r for r in both[0] if r in both[1]]
    if shared:
        pairs = np.array([[half[r] for r in shared] for half in both])
        said += f"; on two halves of the samples {plain(pairs[0].mean())} and "
        said += plain(pairs[1].mean())
        if math.isfinite(r := reliability(pairs)):
            said += f", whose reliability over repetitions is {r:.2f}"
    return said


def _half_changes(study: StudyData, arm: str, other: str, half: int) -> dict[str, float]:
    a, b = (study.values(name, f"fisher_shift_half_{half}") for name in (arm, other))
    return {r: a[r] - b[r] for r in study.replicates if r in a and r in b}


def _beside(study: StudyData, words: str, measure: Measure | None, d: list[float]) -> str:
    """A difference with its interval as words that follow others; "" without one."""
    if len(d) < 2:
        return ""
    test = paired(d, overlap=training_overlap(study))
    unit = " timesteps" if measure is None else measure.unit
    return f"; {words}: {plain(test.mean)}{unit} ({span(test.low, test.high, plain)})"
