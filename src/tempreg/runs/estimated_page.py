"""The part of a run's page that is about numbers, of a regression."""

from __future__ import annotations

from typing import Any

from tempreg.report.page import Picture, Section, Table
from tempreg.report.reading import numbers
from tempreg.report.study_figures import lines_figure

ESTIMATED = (
    "The network answers with numbers: the mean of its outputs so far. R² is the share of the "
    "targets' variance that this explains: 1 is perfect, and 0 what their mean alone would get. "
    "There are no classes, so there is no confusion between any."
)
_ROWS = (
    ("r2_per_step", "R² of the mean so far"),
    ("mse_per_step", "Mean squared error of the mean so far"),
    ("mse_of_each_step", "Mean squared error of the timestep alone"),
)


def estimated_sections(summary: dict[str, Any]) -> list[Section]:
    """How good the answer is after each timestep; none where the run isn't of numbers."""
    found = {words: numbers(summary.get(key)) for key, words in _ROWS}
    values = {words: each for words, each in found.items() if each is not None}
    if not values:
        return []
    steps = [float(t) for t in range(1, max(map(len, values.values())) + 1)]
    pictures = []
    for words, each in values.items():
        figure = lines_figure({"test": (steps[: len(each)], each)}, "timesteps used", words)
        said = ", ".join(f"{value:.4g} after {t}" for t, value in enumerate(each, 1))
        pictures.append(Picture(figure, f"{words}, on test", f"{said}."))
    rows = [
        [str(t), *(f"{each[t - 1]:.6g}" if t <= len(each) else "" for each in values.values())]
        for t in range(1, len(steps) + 1)
    ]
    table = Table(
        "On the test split", ["Timestep", *values], rows, frozenset(range(1 + len(values)))
    )
    return [Section("Errors by timestep", [], [table], pictures)]
