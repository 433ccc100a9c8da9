"""The one confirmatory test of a study; everything else is an interval, or one of a family.

It is the paper's own comparison: TRT minus direct training, at the last timestep. Because it is
always this one, in every study that has both arms, its p needs no adjustment.
"""

from __future__ import annotations

from math import isnan

from tempreg.options import parse_objective
from tempreg.study.page.words import points
from tempreg.study.results import ReportedArm, StudyData, training_overlap
from tempreg.study.statistics.comparison import accuracy_margin
from tempreg.study.statistics.paired import paired
from tempreg.study.statistics.reading import (
    read_difference,
    why_irrelevant,
    why_undecided,
    within,
)

COLUMN = "test_accuracy"


def confirmatory_sentence(study: StudyData) -> str | None:
    """What it says; None where the study lacks one of the arms, or two finished repetitions."""
    trt, rate = (_arm(study, name) for name in ("trt", "rate"))
    differences = study.differences(trt, rate, COLUMN) if trt and rate else []
    if len(differences) < 2:
        return None
    overlap, margin = training_overlap(study), accuracy_margin(study)
    test = paired(differences, overlap=overlap)
    equal = within(differences, margin, overlap)
    read = read_difference(test, equal, margin)
    left = len(study.unfinished())
    said = (
        "The one confirmatory test, fixed before any run"
        f"{f' (runs without a result: {left}, so this is not its end)' * bool(left)}: "
        f"test accuracy after the last timestep, {trt} minus {rate}: {points(test.mean)} points"
    )
    if isnan(test.low):
        return f"{said}: {read}, for it is {why_undecided(test, margin)}."
    said += f" ({points(test.low)} to {points(test.high)}), "
    if read == "no relevant difference":
        said += f"{why_irrelevant(test, equal, margin)}: {read}."
    else:
        why = f" ({why_undecided(test, margin)})" if read == "undecided" else ""
        said += f"p = {test.p:.2g}: {read}{why}."
    if overlap:
        plain = paired(differences)
        said += (
            " This interval, which decides, is corrected for folds whose training sets overlap; "
            f"without the correction it would be {points(plain.low)} to {points(plain.high)}."
        )
    return said


def _arm(study: StudyData, objective: str) -> str | None:
    """The arm that trains with this objective and changes nothing else."""
    wanted = parse_objective(objective)
    return next((arm.name for arm in study.arms if _is(arm, wanted)), None)


def _is(arm: ReportedArm, wanted: object) -> bool:
    try:
        return arm.changes.keys() == {"objective.name"} and (
            parse_objective(str(arm.changes["objective.name"])) == wanted
        )
    except ValueError:
        return False
