"""The figure of a study of long training: every arm minus the reference, at both endpoints."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from tempreg.files import replacing
from tempreg.study.results import StudyData
from tempreg.study.statistics.comparison import accuracy_margin, beside

ENDPOINTS = {"test_accuracy": "last timestep", "mean_accuracy_over_steps": "mean over timesteps"}
COLOURS = ("#1f5fa8", "#c05a00")
DATE = {"Date": None}
"""No date in the file: the same study gives the same bytes."""


def draw(study: StudyData, path: Path) -> None:
    """Means and 95% intervals, in points of test accuracy."""
    arms = [arm.name for arm in study.arms if arm.name != study.reference]
    margin = 100 * accuracy_margin(study)
    with mpl.rc_context({"svg.hashsalt": "tempreg", "font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(7.0, 0.33 * len(arms) + 1.1), layout="constrained")
        axes = figure.subplots()
        axes.axvspan(-margin, margin, color="0.92", lw=0, label=f"within ±{margin:g} points")
        axes.axvline(0, color="0.4", lw=0.8)
        for i, ((column, name), colour) in enumerate(zip(ENDPOINTS.items(), COLOURS, strict=True)):
            found = beside(study, study.reference, column, None)
            places = [y + 0.16 * (2 * i - 1) for y in range(len(arms))]
            tests = [found[arm].test for arm in arms]
            means = [100 * test.mean for test in tests]
            halves = [100 * test.half_width for test in tests]
            axes.errorbar(means, places, xerr=halves, fmt="o", ms=4, color=colour, label=name)
        axes.set_yticks(range(len(arms)), arms)
        axes.invert_yaxis()
        axes.set_xlabel(f"test accuracy minus that of {study.reference}, points (95% intervals)")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata=DATE)
