"""Under what conditions a study's runs ended: it says nothing of others.

How long they trained, and whether they had begun to overfit: whether test accuracy at the last
epoch is below that at the best epoch by validation, which no test item chose. How far it is below
training accuracy is another question, and the gap's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tempreg.study.page.words import points
from tempreg.study.results import StudyData, training_overlap
from tempreg.study.statistics.comparison import accuracy_margin
from tempreg.study.statistics.paired import paired
from tempreg.study.statistics.reading import Reading, read_difference, within

STEPS, EPOCHS = "optimizer_steps", "epochs"
LAST, BEST = "mean_accuracy_over_steps", "test_mean_accuracy_over_steps_at_best_val"


def regime(study: StudyData) -> str:
    """A sentence or two, which stand before what was found."""
    changes = changes_since_best(study)
    said = f"Every figure is of {_length(study)}, and says nothing of shorter or longer ones."
    if not changes:
        return f"{said} Whether anything overfits was not measured."
    values = [float(np.mean(d)) for d in changes.values()]
    low, high = points(min(values)), points(max(values))
    spread = low if low == high else f"{low} to {high}"
    return (
        f"{said} From the best epoch by validation to the last one test accuracy averaged over "
        f"timesteps changed by {spread} points (means of the arms). {_by_reading(study)}"
    )


def changes_since_best(study: StudyData) -> dict[str, list[float]]:
    """Test accuracy averaged over timesteps, last epoch minus best by validation; runs by arm.

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
            found[arm.name] = d
    return found


def overfitted(study: StudyData) -> list[str]:
    """Arms whose last epoch tests lower than their best by validation."""
    return [arm for arm, reading in _readings(study).items() if reading == "lower"]


def _readings(study: StudyData) -> dict[str, Reading]:
    """How the arms' changes are read, as differences are."""
    margin, overlap = accuracy_margin(study), training_overlap(study)
    return {
        arm: read_difference(paired(d, overlap=overlap), within(d, margin, overlap), margin)
        for arm, d in changes_since_best(study).items()
    }


def _by_reading(study: StudyData) -> str:
    """How many arms did what; those that fell by name."""
    readings = _readings(study)
    margin = f"{100 * accuracy_margin(study):g} points"
    words: dict[Reading, str] = {
        "higher": "still rose",
        "no relevant difference": f"stayed within ±{margin}",
        "undecided": "can't be told",
    }
    counts = {read: [*readings.values()].count(read) for read in words}
    said = ", ".join(f"{count} {words[read]}" for read, count in counts.items() if count)
    fell = overfitted(study)
    end = f"{', '.join(fell)} fell, so overfit" if fell else "none is shown to fall"
    return f"Of {len(readings)} arms {said}{'; ' if said else ''}{end}."


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
