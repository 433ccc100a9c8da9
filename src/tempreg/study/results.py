"""A study's folder, read back.

study.json    name, preset, command, arms (name, label, changes), reference, seeds, splits, and
              as far as known: pairs, endpoint, margin, overlap, claims, environment, ...
results.csv   a row a run: arm, seed, split, status, what was measured; `run`, its folder
              relative to the study's; `error`, why it failed
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempreg.report.reading import ReportError, number, read_json, read_rows

FINISHED = "finished"
ENDPOINT = "mean_accuracy_over_steps"
WORDS = ("arm", "seed", "split", "status", "run", "error")
"""Columns of results.csv that aren't numbers."""

Pair = tuple[str, str]
"""(seed, split): runs of different arms that share it are paired."""


@dataclass(frozen=True)
class Arm:
    """What was compared. Final.

    Attributes:
        name: in results.csv.
        label: for people.
        changes: settings by dotted name that differ between arms.
    """

    name: str
    label: str
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A row of results.csv. Final.

    Attributes:
        folder: None where the row doesn't say.
        values: what was measured, by column; only finite numbers.
    """

    arm: str
    pair: Pair
    status: str
    error: str
    folder: Path | None
    values: dict[str, float]


@dataclass(frozen=True)
class StudyData:
    """A study as its files have it. Final.

    Attributes:
        facts: study.json.
        arms: in its order; `reference` is the name of the one the others are compared with.
        pairs: which (seed, split) every arm was to run.
        runs: rows of results.csv.
    """

    folder: Path
    facts: dict[str, Any]
    arms: list[Arm]
    reference: str
    pairs: list[Pair]
    runs: list[Run]

    def finished(self, arm: str) -> dict[Pair, Run]:
        """An arm's finished runs."""
        return {r.pair: r for r in self.runs if r.arm == arm and r.status == FINISHED}

    def values(self, arm: str, column: str) -> dict[Pair, float]:
        """A column of an arm's finished runs, where it was measured."""
        runs = self.finished(arm).items()
        return {pair: run.values[column] for pair, run in runs if column in run.values}

    def differences(self, arm: str, other: str, column: str) -> list[float]:
        """`arm` minus `other`, of the pairs that both have, in the order of `pairs`."""
        a, b = self.values(arm, column), self.values(other, column)
        return [a[pair] - b[pair] for pair in self.pairs if pair in a and pair in b]

    def missing(self) -> list[tuple[str, Pair]]:
        """Runs that were planned and have no row, arm by arm."""
        there = {(run.arm, run.pair) for run in self.runs}
        return [(a.name, p) for a in self.arms for p in self.pairs if (a.name, p) not in there]

    def label(self, arm: str) -> str:
        """For people."""
        return next(a.label for a in self.arms if a.name == arm)


def load_study(folder: Path) -> StudyData:
    """Read a study from its files; ReportError where they are missing or damaged."""
    path = folder / "study.json"
    facts = read_json(path)
    try:
        arms = [
            Arm(str(a["name"]), str(a.get("label", a["name"])), dict(a.get("changes", {})))
            for a in facts["arms"]
        ]
        names = [arm.name for arm in arms]
        reference = str(facts.get("reference", names[0]))
        if "pairs" in facts:
            pairs = [(str(seed), str(split)) for seed, split in facts["pairs"]]
        else:
            splits = [str(s) for s in facts.get("splits") or [""]]
            pairs = [(str(seed), split) for seed in facts["seeds"] for split in splits]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ReportError(
            f"{path} doesn't describe a study (arms with names, seeds): {error!r}"
        ) from None
    if reference not in names or len(set(names)) < len(names):
        raise ReportError(f"{path}: arms need different names, one of them {reference!r}")
    runs = [
        _run(folder, row, names, f"{folder / 'results.csv'}, run {i}")
        for i, row in enumerate(read_rows(folder / "results.csv", WORDS[:4]), 1)
    ]
    keys = [(run.arm, run.pair) for run in runs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ReportError(f"{folder / 'results.csv'}: the run {twice[0]} has two rows")
    pairs += sorted({run.pair for run in runs} - set(pairs))
    return StudyData(folder, facts, arms, reference, pairs, runs)


def test_correct(run: Run) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Which test items a run got right: [T, N] of 0 and 1, and the items' numbers [N].

    None where it wasn't kept; ReportError where the file is damaged.
    """
    if run.folder is None or not (path := run.folder / "test_correct.npz").is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            correct, items = file["correct"], file["items"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ReportError(f"{path} is damaged: {error}") from None
    if correct.ndim != 2 or items.shape != correct.shape[1:] or not items.size:
        raise ReportError(f"{path} is damaged: shapes {correct.shape} and {items.shape}")
    return correct.astype(np.float64), items.astype(np.int64)


def _run(folder: Path, row: dict[str, str], arms: list[str], place: str) -> Run:
    if row["arm"] not in arms:
        raise ReportError(f"{place}: study.json has no arm {row['arm']!r}")
    values = {
        name: value
        for name, text in row.items()
        if name not in WORDS and not math.isnan(value := number(text, f"{place}, {name}"))
    }
    path = None
    if row.get("run"):
        path = (folder / row["run"]).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ReportError(f"{place}: the folder {row['run']!r} is not inside the study's")
    pair = (row["seed"], row["split"])
    return Run(row["arm"], pair, row["status"], row.get("error", ""), path, values)
