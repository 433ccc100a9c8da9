"""Whether a penalty did anything: by how much it shrank the weights.

At the paper's strength the penalty's gradient is 1e-4 to 1e-3 of the cross-entropy's, so that a
short run can't show its effect. It is called active where the norm of all weights is at least
10% below that of the arm without it.
"""

from __future__ import annotations

from math import isnan

from tempreg.options import ObjectiveName, parse_objective
from tempreg.report.page import Section, Table
from tempreg.study.page.words import DASH, NOT_MEASURED
from tempreg.study.results import ReportedArm, StudyData, training_overlap
from tempreg.study.statistics.paired import Paired, paired

ACTIVE = 0.1
"""The fraction by which the norm must fall."""
_TITLE = "Was the penalty active?"
_UNKNOWN = "not known"


def penalty_section(study: StudyData) -> Section | None:
    """Every arm with a penalty beside the same arm without; None where no arm has one."""
    rows, penalized = [], _penalized(study)
    for arm in penalized:
        plain, test = norm_change(study, arm)
        lam = study.setting(arm, "objective.lam")
        row = [arm.name, DASH if lam is None else str(lam)]
        if test is None:
            rows.append([*row, plain or DASH, DASH, DASH, _UNKNOWN])
            continue
        interval = f"{100 * test.low:+.1f} to {100 * test.high:+.1f}"
        verdict = "active" if test.mean <= -ACTIVE else "not active"
        shown = DASH if isnan(test.low) else interval
        rows.append([*row, str(plain), f"{100 * test.mean:+.1f}", shown, verdict])
    if not rows:
        return None
    if all(row[-1] == _UNKNOWN for row in rows):
        return Section(_TITLE, [NOT_MEASURED])
    texts = [
        "A penalty that leaves the weights as they are can't be what makes a difference. It is "
        f"called active where the norm of all weights is at least {100 * ACTIVE:.0f}% below that "
        "of the arm without it.",
        activity_sentence(study),
    ]
    head = ["Arm", "λ", "Beside", "Change of ‖w‖, %", "95% over runs", "Penalty"]
    table = Table("The norm of the weights after training", head, rows, frozenset({1, 3, 4}))
    return Section(_TITLE, texts, [table])


def activity_sentence(study: StudyData) -> str:
    """Which penalties shortened the weights and which hardly did; "" where that is not known."""
    active: list[str] = []
    idle: list[str] = []
    for arm in _penalized(study):
        plain, test = norm_change(study, arm)
        if test is not None:
            said = f"{arm.name} ({100 * test.mean:+.1f}% beside {plain})"
            (active if test.mean <= -ACTIVE else idle).append(said)
    if not active and not idle:
        return ""
    words = f"at least {100 * ACTIVE:.0f}% shorter"
    said = f"The penalty was active (weights {words}) in "
    said += ", ".join(active) if active else "no arm"
    return said + (
        f"; it was idle, so can hardly have made a difference, in {', '.join(idle)}."
        if idle
        else "."
    )


def _penalized(study: StudyData) -> list[ReportedArm]:
    return [arm for arm in study.arms if objective_of(arm).penalty is not None]


def norm_change(study: StudyData, arm: ReportedArm) -> tuple[str | None, Paired | None]:
    """The arm without the penalty, and how ‖w‖ differs from its, as a fraction; None: not known."""
    plain = without_penalty(study, arm)
    changes = relative_norms(study, arm.name, plain) if plain else []
    return plain, paired(changes, overlap=training_overlap(study)) if changes else None


def without_penalty(study: StudyData, arm: ReportedArm) -> str | None:
    """The arm with the same objective but for its penalty, else the bare base; None: neither."""
    objective = objective_of(arm)
    return arm_with(study, arm, objective.with_penalty(None)) or arm_with(study, arm, bare(arm))


def bare(arm: ReportedArm) -> ObjectiveName:
    """An arm's objective without all that is added to its base."""
    return objective_of(arm)._replace(additions=frozenset())


def arm_with(study: StudyData, arm: ReportedArm, objective: ObjectiveName) -> str | None:
    """The first arm with this objective that changes nothing else, but for what `arm` does."""
    return next(
        (
            other.name
            for other in study.arms
            if objective_of(other) == objective and _others(other) <= _others(arm)
        ),
        None,
    )


def relative_norms(study: StudyData, arm: str, plain: str) -> list[float]:
    """‖w‖ of `arm` over that of `plain`, minus 1, of the replicates that both have."""
    ours, theirs = study.values(arm, "weight_norm"), study.values(plain, "weight_norm")
    return [
        ours[name] / theirs[name] - 1
        for name in study.replicates
        if name in ours and theirs.get(name)
    ]


def objective_of(arm: ReportedArm) -> ObjectiveName:
    """Base and terms; of a name that is none, as in damaged files, the name alone."""
    name = str(arm.changes.get("objective.name", ""))
    try:
        return parse_objective(name)
    except ValueError:
        return ObjectiveName(name, frozenset())


def _others(arm: ReportedArm) -> set[tuple[str, str]]:
    """What an arm changes beside its objective."""
    return {(k, str(v)) for k, v in arm.changes.items() if not k.startswith("objective.")}
