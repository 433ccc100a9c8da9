"""Under what conditions a study's runs ended: it says nothing of others.

How long they trained, and whether they had begun to overfit: whether test accuracy at the last
epoch is below that at the best epoch by validation, which no test item chose.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tempreg.study.page.words import points
from tempreg.study.results import StudyData
from tempreg.study.statistics.comparison import accuracy_margin

STEPS, EPOCHS = "optimizer_steps", "epochs"
LAST, BEST = "mean_accuracy_over_steps", "test_mean_accuracy_over_steps_at_best_val"


def regime(study: StudyData) -> str:
    """A sentence or two, which stand before what was found."""
    changes = improvements(study)
    said = f"Every figure is of {_length(study)}, and says nothing of shorter or longer ones."
    if not changes:
        return f"{said} Whether anything overfits was not measured."
    values = list(changes.values())
    low, high = points(min(values)), points(max(values))
    spread = low if low == high else f"{low} to {high}"
    rising = sum(value > 0 for value in values)
    said += (
        " From the best epoch by validation to the last one test accuracy averaged "
        f"over timesteps changed by {spread} points (means of the arms): {rising} of "
        f"{len(values)} arms still improved"
    )
    worse = overfitted(study)
    if worse:
        return f"{said}, and these overfit: {', '.join(worse)}."
    return f"{said}, and none overfits."


def improvements(study: StudyData) -> dict[str, float]:
    """Test accuracy averaged over timesteps, last epoch minus best by validation; means by arm.

    Of arms whose last epoch was kept.
    """
    found = {}
    for arm in study.arms:
        runs = study.finished(arm.name).values()
        d = [
            run.values[LAST] - run.values[BEST]
            for run in runs
            if LAST in run.values and BEST in run.values and not _kept_best(run.values)
        ]
        if d:
            found[arm.name] = float(np.mean(d))
    return found


def overfitted(study: StudyData) -> list[str]:
    """Arms whose last epoch tests worse than their best by validation, by the margin or more."""
    margin = accuracy_margin(study)
    return [arm for arm, change in improvements(study).items() if change <= -margin]


def _kept_best(values: dict[str, float]) -> bool:
    return values.get("kept_epoch", values.get(EPOCHS)) != values.get(EPOCHS)


def _length(study: StudyData) -> str:
    steps, epochs = _range(study, STEPS), _range(study, EPOCHS)
    if not epochs:
        base: Any = study.facts.get("base")
        number = base.get(EPOCHS) if isinstance(base, dict) else None
        epochs = str(number) if isinstance(number, int) else ""
    words = [f"{steps} optimiser steps"] if steps else []
    if epochs:
        words.append(f"({epochs} epochs)" if steps else f"{epochs} epochs")
    return f"runs of {' '.join(words)}" if words else "runs of a length that was not recorded"


def _range(study: StudyData, column: str) -> str:
    values = [run.values[column] for run in study.runs if column in run.values]
    if not values:
        return ""
    low, high = int(min(values)), int(max(values))
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
