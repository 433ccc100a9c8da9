"""The trials of a study: which there are, given how the earlier ones ended, and what they decide.

Nothing is remembered but the trials' own folders: what is tried next follows from them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tempreg.config.dotted import setting_of
from tempreg.study.plan.arms import Arm
from tempreg.study.plan.plan import Plan, Run, failed_mark
from tempreg.study.plan.tuning import (
    Candidate,
    at_an_edge,
    best_of,
    beyond_the_edge,
    closest,
    next_strength,
    paired,
)
from tempreg.training.run_directory import RunDirectory

FIRST_STRENGTH = 0.8
"""Of the paired arm's lam: plain L2 is about so strong as TRT's penalty at equal strength."""

_SHOWN = ("val_accuracy", "val_mean_accuracy_over_steps", "weight_norm")


@final
@dataclass(frozen=True)
class Tried:
    """What an arm has tried so far.

    Attributes:
        arm: which.
        candidates: in the order in which they were or are to be tried.
        runs: a trial a candidate and seed.
        chosen: the settings that it takes; empty while trials are open, or where none ended well.
        at_edge: settings of `chosen` that are the smallest or largest that was tried.
        remark: on how far a search for a norm has come; "" otherwise.
    """

    arm: Arm
    candidates: list[Candidate]
    runs: list[Run]
    chosen: Candidate
    at_edge: list[str]
    remark: str = ""


def tune(plan: Plan, root: Path, ended: Callable[[Run], bool]) -> list[Tried]:
    """What each arm has to try, in the plan's order; `ended` says whether a trial is over."""
    by_name: dict[str, Tried] = {}
    for arm in plan.arms:
        if paired(arm, plan.arms) is None:
            by_name[arm.name] = _chosen_by_score(plan, root, arm, ended)
    for arm in plan.arms:
        pair = paired(arm, plan.arms)
        if pair is not None:
            by_name[arm.name] = _matched(plan, root, arm, by_name[pair.name], ended)
    return [by_name[arm.name] for arm in plan.arms]


def _chosen_by_score(plan: Plan, root: Path, arm: Arm, ended: Callable[[Run], bool]) -> Tried:
    candidates = plan.candidates(arm)
    first = len(candidates)
    while candidates:
        runs = plan.trials_of(root, arm, candidates)
        if not all(map(ended, runs)):
            return Tried(arm, candidates, runs, {}, [])
        scores = [_mean(plan, root, arm, candidates, i, plan.chosen_by) for i in _range(candidates)]
        best = best_of(scores)
        further = (
            beyond_the_edge(candidates, scores, first)
            if plan.tuning == "edges" and not plan.search
            else None
        )
        if further is None:
            chosen = {} if best is None else candidates[best]
            edges = [] if best is None or plan.search else at_an_edge(candidates, best)
            return Tried(arm, candidates, runs, chosen, edges)
        candidates = [*candidates, further]
    return Tried(arm, [], [], {}, [])


def _matched(plan: Plan, root: Path, arm: Arm, pair: Tried, ended: Callable[[Run], bool]) -> Tried:
    """The strength at which the weights end with the norm of the paired arm's best trial."""
    if not pair.chosen:
        return Tried(arm, [], [], {}, [])
    place = pair.candidates.index(pair.chosen)
    norm = _mean(plan, root, pair.arm, pair.candidates, place, ("weight_norm",))
    assert norm is not None  # it was chosen, so its trials ended well
    others = {k: v for k, v in pair.chosen.items() if k != "objective.lam"}
    lam = pair.chosen.get("objective.lam", pair.arm.changes.get("objective.lam"))
    start = FIRST_STRENGTH * float(lam or setting_of(plan.base, "objective.lam"))
    reached: dict[float, float] = {}
    candidates: list[Candidate] = []
    strength = next_strength(start, reached, norm)
    while strength is not None:
        candidates = [*candidates, others | {"objective.l2": strength}]
        runs = plan.trials_of(root, arm, candidates)
        if not all(map(ended, runs)):
            return Tried(arm, candidates, runs, {}, [])
        found = _mean(plan, root, arm, candidates, len(candidates) - 1, ("weight_norm",))
        if found is None:
            return Tried(arm, candidates, runs, {}, [], "a trial failed")
        reached[strength] = found
        strength = next_strength(start, reached, norm)
    best, at = closest(reached, norm)
    remark = f"norm {at:.4g}, {100 * (at / norm - 1):+.1f}% of that of {pair.arm.name}"
    chosen = others | {"objective.l2": best}
    return Tried(arm, candidates, plan.trials_of(root, arm, candidates), chosen, [], remark)


def _range(candidates: list[Candidate]) -> range:
    return range(len(candidates))


def _mean(
    plan: Plan,
    root: Path,
    arm: Arm,
    candidates: list[Candidate],
    index: int,
    columns: tuple[str, ...],
) -> float | None:
    """The mean of some columns over the seeds of a candidate; None where one failed."""
    values = []
    for run in plan.trials_of(root, arm, candidates):
        if plan.candidate_of(run) == index:
            summary = _summary(run)
            if summary is None:
                return None
            values += [float(summary[_named(name, summary)]) for name in columns]
    return sum(values) / len(values)


def _named(column: str, summary: dict[str, Any]) -> str:
    """A column as a summary has it: of a regression, R^2 in place of accuracy."""
    return column if column in summary else column.replace("accuracy", "r2")


def _summary(run: Run) -> dict[str, Any] | None:
    directory = RunDirectory(run.folder)
    if failed_mark(run).exists() or not directory.summary.exists():
        return None
    return directory.read_json(directory.summary)


def choices(tried: list[Tried]) -> dict[str, Candidate]:
    """The settings that each arm takes, of those that chose any."""
    return {each.arm.name: each.chosen for each in tried if each.chosen}


def trials_table(plan: Plan, tried: list[Tried]) -> str:
    """trials.csv: a row a trial with what it tried and found, and whether that was chosen."""
    rows: list[dict[str, Any]] = []
    for each in tried:
        for run in each.runs:
            candidate = each.candidates[plan.candidate_of(run)]
            summary = _summary(run) or {}
            row = {"arm": each.arm.name, "trial": run.replicate}
            row["chosen"] = "yes" if candidate == each.chosen else ""
            row["at_edge"] = " ".join(each.at_edge) if candidate == each.chosen else ""
            row["remark"] = each.remark if candidate == each.chosen else ""
            shown = [_named(k, summary) if summary else k for k in _SHOWN]
            rows.append(row | {k: summary.get(k, "") for k in shown} | candidate)
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
