"""The section on other recordings, of repeated cross-validation: a mixed model beside each arm."""

from __future__ import annotations

from math import isnan

from tempreg.report.page import Section, Table
from tempreg.study.page.words import points
from tempreg.study.results import StudyData
from tempreg.study.statistics.partitions import over_recordings

_STEPS = {"Last timestep, points": -1, "Mean over timesteps, points": None}


def recordings_section(study: StudyData) -> Section | None:
    """Every arm minus the reference, for other recordings; None where runs are no folds."""
    rows = []
    for arm in (arm.name for arm in study.arms if arm.name != study.reference):
        row = [arm]
        for step in _STEPS.values():
            model = over_recordings(study, arm, study.reference, step=step)
            if model is None or isnan(model.low):
                return None
            row.append(f"{points(model.mean)} ({points(model.low)} to {points(model.high)})")
        rows.append(row)
    if not rows:
        return None
    text = (
        "Each partition tests every item once, so the differences make a table of partitions and "
        "items. A linear model with both as random effects and the arms as fixed gives these 95% "
        "intervals, which speak of other recordings and other partitions; those over runs speak "
        "of these recordings."
    )
    head = ["Arm", *_STEPS]
    caption = f"Minus {study.reference}, over partitions and recordings"
    return Section("For other recordings", [text], [Table(caption, head, rows)])
