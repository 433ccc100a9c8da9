"""What else could have made a difference that supports a claim: TRT is more than one part."""

from __future__ import annotations

from tempreg.options import TERMS
from tempreg.study.page.measures import GAP
from tempreg.study.page.penalty import ACTIVE, arm_with, bare, norm_change, objective_of
from tempreg.study.page.words import points, span
from tempreg.study.results import ReportedArm, StudyData, training_overlap
from tempreg.study.statistics.paired import paired
from tempreg.study.statistics.reading import Reading, read_difference, within

_L2 = ("l2n", "l2")
"""L2 penalties of a strength that matches another one's, at the end and on the fresh network."""


def doubts(study: StudyData, arm: str, against: str, column: str, margin: float | None) -> str:
    """Why it may not be the arm's penalty that made a difference; "" where nothing says so.

    Args:
        column: of which the difference is; "" where it is of none, and only the weights are asked.
        margin: of its differences, as for `statistics.reading`.
    """
    treated = next(a for a in study.arms if a.name == arm)
    if not column or margin is None:
        return _too_weak(study, treated, against, "")
    bare_one = _bare_objective(study, treated, against, column, margin)
    weak = _too_weak(study, treated, against, "" if bare_one else column)
    said = [weak, bare_one, "" if weak else _other_penalty(study, treated, against, column, margin)]
    said.append(_training_alone(study, arm, against, column, margin))
    return "; ".join(filter(None, said))


def _too_weak(study: StudyData, arm: ReportedArm, against: str, column: str) -> str:
    """Of a penalty that left the weights as they are."""
    plain, change = norm_change(study, arm)
    if objective_of(arm).penalty is None or change is None or change.mean <= -ACTIVE:
        return ""
    said = (
        f"{arm.name}'s penalty was too weak to be active (norm of the weights "
        f"{100 * change.mean:+.1f}% beside {plain}'s), so the penalty is hardly what made the "
        "difference"
    )
    without = study.differences(str(plain), against, column) if column and plain != against else []
    if not without:
        return said
    return f"{said}: {plain} minus {against} is {points(sum(without) / len(without))} points"


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
    read, said = _read(study, more, margin)
    if read != "no relevant difference":
        return ""
    return (
        f"{plain} alone ({TERMS[base.base].summary}) has {points(sum(most) / len(most))} points "
        f"already, and {arm.name} minus {plain} is {read}: {said}"
    )


def _other_penalty(
    study: StudyData, arm: ReportedArm, against: str, column: str, margin: float
) -> str:
    """Of L2 in the place of the arm's penalty, where the arm isn't shown to go further than it."""
    plain = l2_in_place(study, arm, against)
    if plain is None:
        return ""
    more = study.differences(arm.name, plain, column)
    whole = study.differences(arm.name, against, column)
    read, said = _read(study, more, margin)
    if not said or (read in ("higher", "lower") and (sum(more) > 0) == (sum(whole) > 0)):
        return ""
    return f"{arm.name} minus {plain} (L2 in the penalty's place): {read}, {said}"


def l2_in_place(study: StudyData, arm: ReportedArm, against: str = "") -> str | None:
    """The arm, not `against`, that has L2 of matched strength in the place of `arm`'s penalty."""
    objective = objective_of(arm)
    if objective.penalty in (None, *_L2):
        return None
    found = [arm_with(study, arm, objective.with_penalty(name)) for name in _L2]
    return next((name for name in found if name not in (None, against)), None)


def _training_alone(study: StudyData, arm: str, against: str, column: str, margin: float) -> str:
    """Of a gap, where it is training accuracy that went down and not test accuracy that rose."""
    if column != GAP.column:
        return ""
    both = [study.differences(arm, against, name) for name in ("train_accuracy", "test_accuracy")]
    (training, in_training), (test, in_test) = (_read(study, d, margin) for d in both)
    if training != "lower" or test == "higher":
        return ""
    return f"training accuracy is {training} ({in_training}), test accuracy {test} ({in_test})"


def _read(study: StudyData, differences: list[float], margin: float) -> tuple[Reading, str]:
    """How they are read, and their mean with its interval; "" without two of them."""
    if len(differences) < 2:
        return "undecided", ""
    overlap = training_overlap(study)
    test = paired(differences, overlap=overlap)
    read = read_difference(test, within(differences, margin, overlap), margin)
    return read, f"{points(test.mean)} points ({span(test.low, test.high, points)})"
