"""Results of analyses as their files describe themselves: named arrays with axes and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempreg.report.page import Picture, Section, Table
from tempreg.report.reading import ReportError, read_json, read_json_lines
from tempreg.report.study_figures import lines_figure, map_figure

OVER_TRAINING = "fisher_over_training.jsonl"
_MOST_LINES = 6


@dataclass(frozen=True)
class Array:
    """A measured array and the names of its axes. Final."""

    values: NDArray[np.float64]
    axes: tuple[str, ...]
    unit: str


@dataclass(frozen=True)
class Analysis:
    """What `analysis/QUANTITY.json` holds. Final.

    Attributes:
        numbers: its single numbers by name.
        words: its lists of strings, as the names of layers.
    """

    quantity: str
    arrays: dict[str, Array]
    numbers: dict[str, float]
    words: dict[str, list[str]]
    settings: dict[str, Any]

    def labels(self, axis: str, size: int) -> list[str]:
        """Names along an axis: the list of strings called so, else numbers from 1."""
        for name in (axis, f"{axis}s"):
            if len(self.words.get(name, [])) == size:
                return self.words[name]
        return [f"{axis} {i}" for i in range(1, size + 1)]


def read_analysis(path: Path) -> Analysis:
    """ReportError where the file isn't such a result."""
    content = read_json(path)
    described = content.get("arrays")
    quantity, settings = content.get("quantity"), content.get("settings")
    if not isinstance(described, dict) or not isinstance(quantity, str):
        raise ReportError(f"{path} is not the result of an analysis")
    arrays = {}
    try:
        for name, about in described.items():
            values = np.array(content[name], dtype=np.float64)
            axes = tuple(str(axis) for axis in about["axes"])
            if values.ndim != len(axes):
                raise ValueError(f"{name} has {values.ndim} axes, not {len(axes)}")
            arrays[name] = Array(values, axes, str(about.get("unit", "")))
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(f"{path} is damaged: {error}") from None
    rest = {k: v for k, v in content.items() if k not in described and k != "version"}
    return Analysis(
        quantity,
        arrays,
        {k: float(v) for k, v in rest.items() if type(v) in (int, float)},
        {k: [str(word) for word in v] for k, v in rest.items() if isinstance(v, list)},
        settings if isinstance(settings, dict) else {},
    )


def read_analyses(run: Path) -> dict[str, Analysis]:
    """All of a run's analyses by quantity."""
    found = [read_analysis(path) for path in sorted((run / "analysis").glob("*.json"))]
    return {analysis.quantity: analysis for analysis in found}


def centroids(run: Path) -> dict[int, float]:
    """The information centroid by epoch, where Fisher information was followed in training."""
    path = run / "analysis" / OVER_TRAINING
    if not path.is_file():
        return {}
    lines = read_json_lines(path)
    try:
        return {int(line["epoch"]): float(line["centroid"]) for line in lines}
    except (KeyError, TypeError, ValueError):
        raise ReportError(f"{path} is damaged: expected an epoch and a centroid a line") from None


def analysis_section(analysis: Analysis) -> Section:
    """One run's analysis: its numbers, a figure an array, and how it was made."""
    pictures, large = [], []
    for name, array in analysis.arrays.items():
        if array.values.size == 0 or array.values.shape[-1] < 2:
            continue
        if len(array.axes) in (1, 2):
            pictures.append(_picture(analysis, name, array))
        else:
            large.append(name)
    rows = [[spoken(k), f"{v:.4g}"] for k, v in analysis.numbers.items()]
    tables = [Table("Numbers", ["Figure", "Value"], rows, frozenset({1}))] if rows else []
    if analysis.settings:
        made = [[spoken(key), str(value)] for key, value in analysis.settings.items()]
        tables.append(Table("How it was measured", ["Setting", "Value"], made))
    text = f"Not drawn, for they have more than two axes: {', '.join(map(spoken, large))}."
    return Section(spoken(analysis.quantity), [text] if large else [], tables, pictures)


def side_by_side(quantity: str, by_arm: Mapping[str, list[Analysis]]) -> list[Picture]:
    """A figure an array of an analysis, a line an arm: the mean over its runs.

    Arrays of two axes are averaged over the first as well; what is not equally long in all
    runs is left out.
    """
    first = next(iter(by_arm.values()))[0]
    pictures = []
    for name, array in first.arrays.items():
        if len(array.axes) not in (1, 2) or array.values.size == 0 or array.values.shape[-1] < 2:
            continue
        series, words = {}, []
        for arm, analyses in by_arm.items():
            rows = [_over_first(a.arrays[name]) for a in analyses if name in a.arrays]
            if not rows or any(len(row) != array.values.shape[-1] for row in rows):
                break
            mean = _nanmean(np.stack(rows))
            series[arm] = (list(range(1, len(mean) + 1)), mean.tolist())
            words.append(f"{arm} from {mean[0]:.3g} to {mean[-1]:.3g}")
        else:
            caption = spoken(name)
            if len(array.axes) == 2:
                caption += f", averaged over each {array.axes[0]}"
            figure = lines_figure(series, array.axes[-1], array.unit or spoken(name))
            text = f"Mean over runs, first to last {array.axes[-1]}: {'; '.join(words)}."
            pictures.append(Picture(figure, caption, text))
    return pictures


def spoken(name: str) -> str:
    """A field's name as words."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _picture(analysis: Analysis, name: str, array: Array) -> Picture:
    rows = np.atleast_2d(array.values)
    labels = [spoken(name)]
    if len(array.axes) == 2:
        labels = analysis.labels(array.axes[0], len(rows))
    unit = array.unit or spoken(name)
    if len(rows) <= _MOST_LINES:
        x = list(range(1, rows.shape[1] + 1))
        series = {label: (x, row.tolist()) for label, row in zip(labels, rows, strict=True)}
        figure = lines_figure(series, array.axes[-1], unit)
    else:
        figure = map_figure(rows.tolist(), labels, array.axes[-1], unit)
    finite = rows[np.isfinite(rows)]
    span = f"from {finite.min():.3g} to {finite.max():.3g}" if finite.size else "not measured"
    words = f"By {' and '.join(array.axes)}; values {span}{f' {unit}' if array.unit else ''}."
    return Picture(figure, spoken(name), words)


def _over_first(array: Array) -> NDArray[np.float64]:
    return array.values if array.values.ndim == 1 else _nanmean(array.values)


def _nanmean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the first axis of what was measured; NaN where nothing was."""
    there = np.isfinite(rows)
    counts = there.sum(axis=0)
    total = np.where(there, rows, 0.0).sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
