"""Intervals over runs and test items: from which items each run got right, or as they were kept.

items.csv   arm, against, low, high, resampled: a row a pair of arms, of accuracy averaged over
            timesteps. A study that is published without its run folders has it, so that its
            pages can be made again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, cast

import numpy as np

from tempreg.files import write_text
from tempreg.report.reading import ReportError, number, read_rows
from tempreg.study.files import INTERVALS
from tempreg.study.packed import items_of
from tempreg.study.results import StudyData, training_overlap
from tempreg.study.statistics.bootstrap import Interval, bootstrap

ENDPOINT = "mean_accuracy_over_steps"
"""Test accuracy averaged over timesteps, of the last epoch."""
OF_NUMBERS = "mean_r2_over_steps"
"""The same of a regression, whose runs have no accuracy: R^2."""

_COLUMNS = ("arm", "against", "low", "high", "resampled")
_KINDS = ("crossed", "nested")


def items_interval(
    study: StudyData, arm: str, other: str, *, seed: int = 0, draws: int = 2000
) -> Interval | None:
    """Of accuracy averaged over timesteps, over runs and items; None without kept items."""
    a, b = study.finished(arm), study.finished(other)
    rows, items = [], []
    for name in study.replicates:
        if name not in a or name not in b:
            continue
        ours, theirs = items_of(study, a[name]), items_of(study, b[name])
        if ours is None and theirs is None:
            return _kept(study, arm, other)
        if ours is None or theirs is None or not np.array_equal(ours[1], theirs[1]):
            return None
        rows.append(ours[0].mean(axis=0) - theirs[0].mean(axis=0))
        items.append(ours[1])
    if not rows:
        return None
    shared = all(np.array_equal(items[0], other_items) for other_items in items)
    overlap = training_overlap(study)
    return bootstrap(rows, shared_items=shared, seed=seed, draws=draws, overlap=overlap)


def write_items(study: StudyData, pairs: Iterable[tuple[str, str]], folder: Path) -> None:
    """items.csv of these pairs of arms, those without kept items left out; none, no file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    found = False
    for arm, other in dict.fromkeys(pairs):
        interval = items_interval(study, arm, other)
        if interval is not None:
            writer.writerow([arm, other, interval.low, interval.high, interval.resampled])
            found = True
    if found:
        write_text(folder / INTERVALS, text.getvalue())


def _kept(study: StudyData, arm: str, other: str) -> Interval | None:
    """As items.csv has it; ReportError where that is damaged."""
    path = study.folder / INTERVALS
    if not path.is_file():
        return None
    for i, row in enumerate(read_rows(path, _COLUMNS), 1):
        if (row["arm"], row["against"]) != (arm, other):
            continue
        if row["resampled"] not in _KINDS:
            raise ReportError(f"{path}, row {i}: resampled can't be {row['resampled']!r:.80}")
        low, high = (number(row[name], f"{path}, row {i}, {name}") for name in ("low", "high"))
        differences = study.differences(arm, other, ENDPOINT)
        mean = float(np.mean(differences)) if differences else (low + high) / 2
        kind = cast(Literal["crossed", "nested"], row["resampled"])
        return Interval(mean, low, high, kind, 0)
    return None
