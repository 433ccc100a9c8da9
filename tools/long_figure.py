"""The figures of long training: every arm minus the reference, and what each part does."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

import matplotlib as mpl
from matplotlib.figure import Figure

from tempreg.files import replacing
from tempreg.study.results import StudyData
from tempreg.study.statistics.comparison import accuracy_margin, beside
from tempreg.study.statistics.effects import effects

ENDPOINTS = {"test_accuracy": "last timestep", "mean_accuracy_over_steps": "mean over timesteps"}
COLOURS = ("#1f5fa8", "#c05a00")
STUDIES = (*COLOURS, "#3a7d34")
DATE = {"Date": None}
"""No date in the file: the same study gives the same bytes."""


STYLE = {"svg.hashsalt": "tempreg", "font.size": 9, "svg.fonttype": "none"}


def draw_parts(studies: dict[str, StudyData], path: Path) -> None:
    """The main effect of each part, in the studies that have it, with 95% intervals."""
    of = {name: {c: effects(study, c) for c in ENDPOINTS} for name, study in studies.items()}
    parts = [e.part.name for e in next(iter(of.values()))["test_accuracy"]]
    margin = 100 * accuracy_margin(next(iter(studies.values())))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 0.5 * len(parts) + 1.3), layout="constrained")
        panels = figure.subplots(1, len(ENDPOINTS), sharey=True)
        for axes, (column, title) in zip(panels, ENDPOINTS.items(), strict=True):
            axes.axvspan(-margin, margin, color="0.92", lw=0, label=f"within ±{margin:g} points")
            axes.axvline(0, color="0.4", lw=0.8)
            for i, (name, colour) in enumerate(zip(of, STUDIES, strict=False)):
                tests = {e.part.name: e.test for e in of[name][column]}
                row = 0.24 * (i - (len(of) - 1) / 2)
                places = [y + row for y, part in enumerate(parts) if part in tests]
                means = [100 * tests[part].mean for part in parts if part in tests]
                halves = [100 * tests[part].half_width for part in parts if part in tests]
                axes.errorbar(means, places, xerr=halves, fmt="o", ms=4, color=colour, label=name)
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("points of test accuracy (95% intervals)")
        panels[0].set_yticks(range(len(parts)), [fill(part, 32) for part in parts])
        panels[0].invert_yaxis()
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata=DATE)


def draw(study: StudyData, path: Path) -> None:
    """Means and 95% intervals, in points of test accuracy."""
    arms = [arm.name for arm in study.arms if arm.name != study.reference]
    margin = 100 * accuracy_margin(study)
    with mpl.rc_context(STYLE):
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
