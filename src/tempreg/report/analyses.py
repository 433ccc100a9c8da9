"""Results of analyses as their files describe themselves: named arrays with axes and units."""

from __future__ import annotations

import re
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
_AVERAGED = ("layer", "weight", "draw")
"""Axes that are averaged over where arms are set side by side."""


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

    def places(self, axis: str, size: int) -> list[float]:
        """Where the entries along an axis lie: the array named after it, else 1, 2, ..."""
        for name in _plurals(axis):
            if name in self.arrays and self.arrays[name].values.shape == (size,):
                return [float(value) for value in self.arrays[name].values]
        return [float(i) for i in range(1, size + 1)]

    def labels(self, axis: str, size: int) -> list[str]:
        """Names along an axis: the list of strings named after it, else its places."""
        for name in _plurals(axis):
            if len(self.words.get(name, [])) == size:
                return self.words[name]
        return [f"{axis} {place:g}" for place in self.places(axis, size)]

    def drawable(self) -> dict[str, Array]:
        """Arrays a figure shows: three and more entries along the last axis, no mere places."""
        axes = {axis for array in self.arrays.values() for axis in array.axes}
        mere = {name for axis in axes for name in _plurals(axis)}
        return {
            name: array
            for name, array in self.arrays.items()
            if name not in mere and array.values.size and array.values.shape[-1] > 2
        }


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
    """All of a run's analyses by their files' names, those of single epochs left out."""
    paths = sorted((run / "analysis").glob("*.json"))
    return {p.stem: read_analysis(p) for p in paths if not re.search(r"-epoch-\d+$", p.stem)}


def centroids(run: Path) -> dict[int, float]:
    """The information centroid by epoch, where Fisher information was followed in training."""
    path = run / "analysis" / OVER_TRAINING
    if not path.is_file():
        return {}
    lines = read_json_lines(path)
    try:
        return {
            int(line["epoch"]): float(line["centroid"])
            for line in lines
            if line["centroid"] is not None
        }
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ReportError(f"{path} is damaged: expected an epoch and a centroid a line") from None


def analysis_section(name: str, analysis: Analysis) -> Section:
    """One run's analysis: its numbers, a figure an array, and how it was made."""
    pictures, large = [], []
    drawable = analysis.drawable()
    for key, array in drawable.items():
        if len(array.axes) == 3 and array.axes[0] in _AVERAGED:
            mean = Array(_nanmean(array.values), array.axes[1:], array.unit)
            pictures.append(_picture(analysis, key, mean, f", mean over each {array.axes[0]}"))
        elif len(array.axes) > 2:
            large.append(key)
        else:
            pictures.append(_picture(analysis, key, array))
    rows = [[spoken(k), f"{v:.4g}"] for k, v in analysis.numbers.items()]
    for key, array in analysis.arrays.items():
        if key not in drawable and array.values.ndim == 1 and array.values.size:
            rows.append([spoken(key), ", ".join(f"{value:.4g}" for value in array.values)])
    tables = [Table("Numbers", ["Figure", "Value"], rows, frozenset({1}))] if rows else []
    if analysis.settings:
        made = [[spoken(key), str(value)] for key, value in analysis.settings.items()]
        tables.append(Table("How it was measured", ["Setting", "Value"], made))
    text = f"Not drawn, for they have more than two axes: {', '.join(map(spoken, large))}."
    return Section(spoken(name), [text] if large else [], tables, pictures)


def side_by_side(title: str, by_arm: Mapping[str, list[Analysis]]) -> list[Picture]:
    """A figure an array of an analysis, a line an arm: the mean over its runs.

    Layers, weights and draws are averaged over; arrays that have other axes but one, or that
    are not equally long in all runs, are left out.
    """
    first = next(iter(by_arm.values()))[0]
    pictures = []
    for name, array in first.drawable().items():
        rest = [axis for axis in array.axes if axis not in _AVERAGED]
        if len(rest) != 1:
            continue
        x = first.places(rest[0], array.values.shape[array.axes.index(rest[0])])
        series, words = {}, []
        for arm, analyses in by_arm.items():
            rows = [_curve(a.arrays[name]) for a in analyses if name in a.arrays]
            if not rows or any(len(row) != len(x) for row in rows):
                break
            mean = _nanmean(np.stack(rows))
            series[arm] = (x, mean.tolist())
            words.append(f"{arm} from {mean[0]:.3g} to {mean[-1]:.3g}")
        else:
            over = [axis for axis in array.axes if axis in _AVERAGED]
            caption = f"{spoken(title)}: {spoken(name).lower()}" + (
                f", mean over each {over[0]}" if over else ""
            )
            figure = lines_figure(series, rest[0], array.unit or spoken(name))
            text = f"Mean over runs, first to last {rest[0]}: {'; '.join(words)}."
            pictures.append(Picture(figure, caption, text))
    return pictures


def spoken(name: str) -> str:
    """A field's name as words."""
    words = name.replace("_", " ").replace("-", ", ", 1).strip()
    return words[:1].upper() + words[1:]


def _picture(analysis: Analysis, name: str, array: Array, note: str = "") -> Picture:
    rows = np.atleast_2d(array.values)
    labels = [spoken(name)]
    if len(array.axes) == 2:
        labels = analysis.labels(array.axes[0], len(rows))
    unit = array.unit or spoken(name)
    if len(rows) <= _MOST_LINES and not note:
        x = analysis.places(array.axes[-1], rows.shape[1])
        series = {label: (x, row.tolist()) for label, row in zip(labels, rows, strict=True)}
        figure = lines_figure(series, array.axes[-1], unit)
    else:
        figure = map_figure(rows.tolist(), labels, array.axes[-1], unit)
    finite = rows[np.isfinite(rows)]
    span = f"from {finite.min():.3g} to {finite.max():.3g}" if finite.size else "not measured"
    words = f"By {' and '.join(array.axes)}; values {span}{f' {unit}' if array.unit else ''}."
    return Picture(figure, spoken(name) + note, words)


def _plurals(axis: str) -> tuple[str, ...]:
    """What a list along an axis may be called."""
    return (axis, f"{axis}s", f"{axis.removesuffix('us')}i")


def _curve(array: Array) -> NDArray[np.float64]:
    """The array averaged over its layers, weights or draws."""
    values = array.values
    for place, axis in reversed(list(enumerate(array.axes))):
        if axis in _AVERAGED:
            values = _nanmean(np.moveaxis(values, place, 0))
    return values


def _nanmean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the first axis of what was measured; NaN where nothing was."""
    there = np.isfinite(rows)
    counts = there.sum(axis=0)
    total = np.where(there, rows, 0.0).sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
