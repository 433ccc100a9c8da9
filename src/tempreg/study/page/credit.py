"""What else could have made a difference that supports a claim: TRT is more than one part."""

from __future__ import annotations

from tempreg.options import TERMS
from tempreg.study.page.penalty import ACTIVE, arm_with, bare, norm_change, objective_of
from tempreg.study.page.words import points, span
from tempreg.study.results import ReportedArm, StudyData, training_overlap
from tempreg.study.statistics.paired import paired
from tempreg.study.statistics.reading import read_difference, within


def doubts(study: StudyData, arm: str, against: str, column: str, margin: float | None) -> str:
    """Why it may not be the arm's penalty that made a difference; "" where nothing says so.

    Args:
        column: of which the difference is; "" where it is of none, and only the weights are asked.
        margin: of its differences, as for `statistics.reading`.
    """
    treated = next(a for a in study.arms if a.name == arm)
    said = [_too_weak(study, treated)]
    if column and margin is not None:
        said.append(_bare_objective(study, treated, against, column, margin))
    return "; ".join(filter(None, said))


def _too_weak(study: StudyData, arm: ReportedArm) -> str:
    """Of a penalty that left the weights as they are."""
    plain, change = norm_change(study, arm)
    if objective_of(arm).penalty is None or change is None or change.mean <= -ACTIVE:
        return ""
    return (
        f"{arm.name}'s penalty was too weak to be active (norm of the weights "
        f"{100 * change.mean:+.1f}% beside {plain}'s), so it is hardly what made the difference"
    )


def _bare_objective(
    study: StudyData, arm: ReportedArm, against: str, column: str, margin: float
) -> str:
    """Of the arm without all that its objective adds, where that is as good."""
    base = bare(arm)
    plain = arm_with(study, arm, base)
    if plain is None or plain in (arm.name, against) or base.base not in TERMS:
        return ""
    more = study.differences(arm.name, plain, column)
    most = study.differences(plain, against, column)
    if min(len(more), len(most)) < 2:
        return ""
    overlap = training_overlap(study)
    test = paired(more, overlap=overlap)
    read = read_difference(test, within(more, margin, overlap), margin)
    if read != "no relevant difference":
        return ""
    return (
        f"{plain} alone ({TERMS[base.base].summary}) has {points(sum(most) / len(most))} points "
        f"already, and {arm.name} minus {plain} is {read}: {points(test.mean)} points "
        f"({span(test.low, test.high, points)})"
    )
