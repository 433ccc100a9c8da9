"""What each part of an objective does: the mean over all pairs of arms that differ in it alone.

In a factorial study a part stands beside many others: the MSE term with and without supervision at
every timestep, with and without a penalty. Its main effect is the mean of the differences in all of
these cells, run by run, so that every run of the study speaks of it, and one interval does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from tempreg.options import ObjectiveName, parse_objective
from tempreg.study.results import ReportedArm, StudyData, training_overlap
from tempreg.study.statistics.paired import Paired, paired

Change = Callable[[ObjectiveName], ObjectiveName | None]
"""An objective to the one that it becomes without the part; None where it lacks it."""


@final
@dataclass(frozen=True)
class Part:
    """Something in which two objectives differ, named as the one that has it."""

    name: str
    without: Change


def _base(with_it: str, without: str) -> Change:
    def change(name: ObjectiveName) -> ObjectiveName | None:
        return name._replace(base=without) if name.base == with_it else None

    return change


def _term(with_it: str, without: str | None = None) -> Change:
    def change(name: ObjectiveName) -> ObjectiveName | None:
        if with_it not in name.additions:
            return None
        rest = name.additions - {with_it}
        return name._replace(additions=rest | {without} if without else rest)

    return change


PARTS = (
    Part("supervision at every timestep", _base("step", "rate")),
    Part("supervision of the running mean", _base("anytime", "rate")),
    Part("the MSE term", _term("mse")),
    Part("TRT's penalty", _term("trt")),
    Part("L2 that ends with the same norm", _term("l2n")),
    Part("TRT's penalty in the place of L2 that ends with the same norm", _term("trt", "l2n")),
    Part("L2 matched at initialisation", _term("l2")),
    Part("TRT's penalty in the place of L2 matched at initialisation", _term("trt", "l2")),
    Part("a penalty of the logits", _term("logit")),
    Part("the logits' penalty early, in the place of even", _term("logit-early", "logit")),
    Part("the logits' penalty late, in the place of even", _term("logit-late", "logit")),
    Part("the logits' penalty early, in the place of late", _term("logit-early", "logit-late")),
    Part("distillation from the end to every timestep", _term("kd")),
    Part("distillation at the end alone", _term("self")),
    Part("label smoothing", _term("ls")),
)


@final
@dataclass(frozen=True)
class Effect:
    """A part's main effect on one column.

    Attributes:
        part: which.
        pairs: the arms with and without it.
        differences: the mean over the pairs, run by run.
        test: of these; corrected for overlapping training sets.
        plain: the same without that correction.
    """

    part: Part
    pairs: list[tuple[str, str]]
    differences: list[float]
    test: Paired
    plain: Paired


def effects(study: StudyData, column: str) -> list[Effect]:
    """Of every part that two arms of the study differ in alone, in the order of `PARTS`."""
    overlap = training_overlap(study)
    found = []
    for part in PARTS:
        pairs = pairs_of(study, part)
        differences = mean_differences(study, pairs, column)
        if len(differences) > 1:
            test = paired(differences, overlap=overlap)
            found.append(Effect(part, pairs, differences, test, paired(differences)))
    return found


def pairs_of(study: StudyData, part: Part) -> list[tuple[str, str]]:
    """(with, without): arms that differ in the part, and in nothing else that one of them fixes."""
    pairs = []
    for arm in study.arms:
        objective = _objective(arm)
        wanted = None if objective is None else part.without(objective)
        for other in study.arms:
            if wanted is not None and _objective(other) == wanted and _alike(study, arm, other):
                pairs.append((arm.name, other.name))
    return pairs


def mean_differences(study: StudyData, pairs: list[tuple[str, str]], column: str) -> list[float]:
    """By repetition that all pairs have: the mean of their differences."""
    tables: list[Mapping[str, float]] = []
    for arm, other in pairs:
        ours, theirs = study.values(arm, column), study.values(other, column)
        tables.append({name: ours[name] - theirs[name] for name in ours if name in theirs})
    complete = [name for name in study.replicates if tables and all(name in t for t in tables)]
    return [float(np.mean([table[name] for table in tables])) for name in complete]


def _objective(arm: ReportedArm) -> ObjectiveName | None:
    try:
        return parse_objective(str(arm.changes.get("objective.name", "")))
    except ValueError:
        return None


def _alike(study: StudyData, arm: ReportedArm, other: ReportedArm) -> bool:
    """Whether what one of them fixes is the same in the other, where the other reads it.

    What both leave open may have been chosen for each on validation, and is no difference.
    """
    fixed = (arm.changes.keys() | other.changes.keys()) - {"objective.name"}
    return all(
        study.setting(arm, key) == study.setting(other, key)
        for key in fixed
        if _reads(arm, key) and _reads(other, key)
    )


def _reads(arm: ReportedArm, dotted: str) -> bool:
    """Whether a setting means anything to an arm: of the objective's, those that it uses."""
    section, _, name = dotted.partition(".")
    objective = _objective(arm)
    known = section == "objective" and objective is not None and bool(objective.terms)
    return not known or (objective is not None and name in objective.reads)
