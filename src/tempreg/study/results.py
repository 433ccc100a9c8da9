"""A study's folder, read back for statistics and reports.

study.yaml    source, reference, arms (name, changes), replicates (name), base; and, where the
              study has its own: endpoint, margin, overlap, claims, command, and added, what came to
              it later (`study.plan.growing`)
results.csv   a row a run: arm, replicate, seed, split, status, error, what was measured; and
              `run`, its folder relative to the study's, for what is read from there
chosen.json   settings by arm that were chosen on validation; need not be there
costs.csv     arm, replicate, seconds, peak_memory_mb; need not be there
items.csv     intervals over test items, where the runs' folders are not kept: see `study.items`
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tempreg.config.yaml import parse
from tempreg.data.errors import DataError
from tempreg.data.sources.npz import read_npz
from tempreg.report.reading import ReportError, number, read_json, read_rows, read_text
from tempreg.study.columns import analysis_columns
from tempreg.study.files import CHOSEN, COSTS, PLAN, RESULTS
from tempreg.training.run_directory import RunDirectory

FINISHED = "finished"
WORDS = ("arm", "replicate", "seed", "split", "status", "error", "run")
"""Columns of results.csv that aren't numbers."""

_ABSENT = object()
_OPTIONS: dict[str, Callable[[Any], bool]] = {
    "endpoint": lambda v: isinstance(v, str),
    "margin": lambda v: _between(v, 0, 1),
    "overlap": lambda v: _between(v, 0, 1e6),
    "claims": lambda v: isinstance(v, dict),
    "continued": lambda v: isinstance(v, list),
    "added": lambda v: isinstance(v, list) and all(map(_is_addition, v)),
    "base": lambda v: isinstance(v, dict),
    "base.data": lambda v: isinstance(v, dict),
    "base.data.folds": lambda v: isinstance(v, int) and _between(v, 0, 1e6),
    "base.data.reserve": lambda v: _between(v, 0, 1) and v < 1,
    "base.data.validation": lambda v: _between(v, 0, 1) and v < 1,
}
"""What study.yaml may say beside arms and replicates, by dotted name, and whether it can be."""


@final
@dataclass(frozen=True)
class ReportedArm:
    """What was compared.

    Attributes:
        name: unique in the study.
        changes: the settings by dotted name that it changes.
        chosen: those that it chose on validation.
    """

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class ReportedRun:
    """A row of results.csv.

    Attributes:
        folder: its run directory; None where the row doesn't say.
        values: what was measured, by column; only finite numbers. Of analyses that the row
            lacks, from the folder.
    """

    arm: str
    replicate: str
    seed: str
    split: str
    status: str
    error: str
    folder: Path | None
    values: dict[str, float]


@final
@dataclass(frozen=True)
class StudyData:
    """A study as its files have it.

    Attributes:
        facts: study.yaml.
        arms: in its order; `reference` is the name of the one the others are compared with.
        replicates: repetitions by name; runs of two arms that share one are paired.
        runs: rows of results.csv.
    """

    folder: Path
    facts: dict[str, Any]
    arms: list[ReportedArm]
    reference: str
    replicates: list[str]
    runs: list[ReportedRun]

    def finished(self, arm: str) -> dict[str, ReportedRun]:
        """An arm's finished runs by replicate."""
        return {r.replicate: r for r in self.runs if r.arm == arm and r.status == FINISHED}

    def values(self, arm: str, column: str) -> dict[str, float]:
        """A column of an arm's finished runs by replicate, where it was measured."""
        runs = self.finished(arm).items()
        return {name: run.values[column] for name, run in runs if column in run.values}

    def differences(self, arm: str, other: str, column: str) -> list[float]:
        """`arm` minus `other`, of the replicates that both have, in order."""
        a, b = self.values(arm, column), self.values(other, column)
        return [a[name] - b[name] for name in self.replicates if name in a and name in b]

    def setting(self, arm: ReportedArm, dotted: str) -> Any:
        """A setting of an arm: chosen on validation, its own, or the base's; None: nothing says."""
        section: Any = self.facts.get("base")
        for key in dotted.split("."):
            section = section.get(key) if isinstance(section, dict) else None
        return arm.chosen.get(dotted, arm.changes.get(dotted, section))

    def unfinished(self) -> list[tuple[str, str, str, str]]:
        """(arm, replicate, status, error) of planned runs without a result, also rowless ones."""
        rows = {(run.arm, run.replicate): run for run in self.runs}
        found = []
        for arm in self.arms:
            for name in self.replicates:
                run = rows.get((arm.name, name))
                if run is None:
                    found.append((arm.name, name, "missing", ""))
                elif run.status != FINISHED:
                    found.append((arm.name, name, run.status, run.error))
        return found


def _is_addition(entry: Any) -> bool:
    lists = ("arms", "replicates", "analyses")
    return isinstance(entry, dict) and all(isinstance(entry.get(n, []), list) for n in lists)


def _between(value: Any, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and low <= value <= high


def load_study(folder: Path) -> StudyData:
    """Read a study from its files; ReportError where they are missing or damaged."""
    path = folder / PLAN
    facts = parse(read_text(path), str(path))
    try:
        chosen = _chosen(folder)
        arms = [
            ReportedArm(
                str(a["name"]), dict(a.get("changes") or {}), dict(chosen.get(a["name"]) or {})
            )
            for a in facts["arms"]
        ]
        names = [arm.name for arm in arms]
        reference = str(facts.get("reference") or names[0])
        replicates = [str(replicate["name"]) for replicate in facts["replicates"]]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise ReportError(f"{path} doesn't describe a study: no arms and replicates") from None
    for name, can_be in _OPTIONS.items():
        value: Any = facts
        for key in name.split("."):
            value = value.get(key, _ABSENT) if isinstance(value, dict) else _ABSENT
        if value is not _ABSENT and not can_be(value):
            raise ReportError(f"{path}: {name} can't be {value!r:.80}")
    if reference not in names or len(set(names)) < len(names):
        raise ReportError(f"{path}: arms need different names, one of them {reference!r:.80}")
    table = folder / RESULTS
    runs = [
        _run(folder, row, f"{table}, run {i}")
        for i, row in enumerate(read_rows(table, WORDS[:5]), 1)
    ]
    keys = [(run.arm, run.replicate) for run in runs]
    for arm, replicate in keys:
        if arm not in names or replicate not in replicates:
            raise ReportError(f"{table}: the study has no run {arm!r:.80}, {replicate!r:.80}")
    if len(set(keys)) < len(keys):
        raise ReportError(f"{table}: a run has two rows")
    return StudyData(folder, facts, arms, reference, replicates, _with_costs(folder, runs))


def test_items(run: ReportedRun) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Which test items a run got right: [T, N] of 0 and 1, and the items' numbers [N].

    None where it wasn't kept; ReportError where the file is damaged.
    """
    if run.folder is None or not (path := RunDirectory(run.folder).test_items).is_file():
        return None
    try:
        arrays = read_npz(path)
        correct, items = arrays["correct"], arrays["items"]
    except (DataError, KeyError) as error:
        raise ReportError(f"{path} is damaged: {error}") from None
    whole = correct.dtype.kind in "bui" and items.dtype.kind in "ui"
    if not whole or correct.ndim != 2 or items.shape != correct.shape[1:] or not items.size:
        raise ReportError(
            f"{path} is damaged: {correct.dtype} {correct.shape} and {items.dtype} {items.shape}"
        )
    return correct.astype(np.float64), items.astype(np.int64)


def training_overlap(study: StudyData) -> float:
    """Test size over training size where runs are folds of one pool, else 0.

    study.yaml's `overlap`, or as its settings of folds and validation have it.
    """
    if "overlap" in study.facts:
        return float(study.facts["overlap"])
    base = study.facts.get("base") or {}
    data = base.get("data") or {}
    folds = data.get("folds", 0)
    if folds < 2:
        return 0.0
    tested = (1 - data.get("reserve", 0.0)) / folds
    return float(tested / ((1 - tested) * (1 - data.get("validation", 0.0))))


def _run(folder: Path, row: dict[str, str], place: str) -> ReportedRun:
    path = None
    if name := row.get("run"):
        path = None if "\0" in name else (folder / name).resolve()
        if path is None or not path.is_relative_to(folder.resolve()):
            raise ReportError(f"{place}: the folder {name!r:.80} is not inside the study's")
    words = (row["arm"], row["replicate"], row["seed"], row["split"], row["status"])
    values = _measured(row, place)
    if path is not None:
        values = analysis_columns(path) | values
    return ReportedRun(*words, row.get("error", ""), path, values)


def _chosen(folder: Path) -> dict[str, Any]:
    """chosen.json, where the study has one."""
    path = folder / CHOSEN
    return dict(read_json(path)) if path.exists() else {}


def _with_costs(folder: Path, runs: list[ReportedRun]) -> list[ReportedRun]:
    path = folder / COSTS
    if not path.exists():
        return runs
    costs = {
        (row["arm"], row["replicate"]): _measured(row, f"{path}, run {i}")
        for i, row in enumerate(read_rows(path, WORDS[:2]), 1)
    }
    return [replace(r, values=r.values | costs.get((r.arm, r.replicate), {})) for r in runs]


def _measured(row: dict[str, str], place: str) -> dict[str, float]:
    found = {k: number(v, f"{place}, {k}") for k, v in row.items() if k not in WORDS}
    return {name: value for name, value in found.items() if not math.isnan(value)}
