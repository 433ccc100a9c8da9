"""What the paper's claims are held against: columns of results.csv, and what belongs with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from tempreg.study.page.penalty import objective_of
from tempreg.study.page.words import plain, points, span
from tempreg.study.results import StudyData, training_overlap
from tempreg.study.statistics.paired import paired

_SPLITS = {"train_accuracy": "training", "test_accuracy": "test"}


@final
@dataclass(frozen=True)
class Measure:
    """How a claim is decided: by which column, in which direction, said how.

    Attributes:
        text: what is claimed.
        column: of results.csv; "" where the differences come from elsewhere.
        sign: +1 where the claim is that the difference is above zero, -1 where below.
        words: what is measured.
        unit: with a space before it; " points" of a difference of fractions.
        show: how a difference is written.
    """

    text: str
    column: str
    sign: int
    words: str
    unit: str
    show: Callable[[float], str]

    def called(self, words: str) -> Measure:
        """The same by another figure."""
        return replace(self, words=words)


GAP = Measure(
    "TRT reduces overfitting",
    "generalization_gap",
    -1,
    "gap from training to test accuracy",
    " points",
    points,
)
MEASURES = (
    Measure(
        "TRT mitigates temporal gradient vanishing",
        "gradient_decay",
        +1,
        "factor to which gradients of per-step losses shrink with each step back in time",
        "",
        plain,
    ),
    GAP,
    Measure(
        "TRT leads to flatter minima",
        "noise_accuracy_drop",
        -1,
        "accuracy lost under relative weight noise",
        " points",
        points,
    ),
)
"""Claims about a difference between TRT and direct training in one measured figure."""

LAST_STEP = Measure(
    "TRT is more accurate than direct training after the last timestep (the paper's measure)",
    "test_accuracy",
    +1,
    "test accuracy after the last timestep",
    " points",
    points,
)


def centroid_shifts(
    study: StudyData, arm: str, other: str, estimator: str = "fisher"
) -> tuple[list[float], str]:
    """How much further the centroid moved in `arm` than in `other`, by repetition; and in words.

    By itself an arm's shift says nothing of its objective: the centroid moves in all of them.
    `estimator` is how the columns begin, as "fisher_batch".
    """
    moved = {}
    for name in (arm, other):
        first, end = (study.values(name, f"{estimator}_centroid_{x}") for x in ("first", "end"))
        moved[name] = {r: end[r] - first[r] for r in first if r in end}
    shared = [r for r in study.replicates if r in moved[arm] and r in moved[other]]
    if not shared:
        return [], ""
    means = [plain(float(np.mean([moved[name][r] for r in shared]))) for name in (arm, other)]
    words = f"; with {arm} it moved by {means[0]}, with {other} by {means[1]}"
    return [moved[arm][r] - moved[other][r] for r in shared], words


def paired_words(study: StudyData, arm: str | None, other: str | None) -> str:
    """Of a gap, what it is the difference of: a smaller one may be test accuracy alone."""
    parts = []
    for column in _SPLITS:
        d = study.differences(str(arm), str(other), column)
        if len(d) < 2:
            return ""
        test = paired(d, overlap=training_overlap(study))
        spread = span(test.low, test.high, points)
        parts.append(f"{_SPLITS[column]} accuracy {points(test.mean)} ({spread})")
    return f"; made of {' and '.join(parts)}"


def matched_words(study: StudyData, arm: str, l2: str) -> str:
    """How L2 was matched, and by how much the weights' norms end apart."""
    a, b = study.values(arm, "weight_norm"), study.values(l2, "weight_norm")
    apart = [a[r] / b[r] - 1 for r in study.replicates if r in a and b.get(r)]
    if not apart:
        return ""
    mean = 100 * float(np.mean(apart))
    side = "below" if mean < 0 else "above"
    at_end = any(each.name == l2 and objective_of(each).penalty == "l2n" for each in study.arms)
    matched = "by the norm at the end: there" if at_end else "at initialisation only, at the end"
    return (
        f"; matched {matched} the norm of {arm}'s weights is {abs(mean):.1f}% {side} that of {l2}'s"
    )
