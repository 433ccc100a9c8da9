"""Figures of a page, from plain numbers; each is small enough to be read on a phone.

Make them inside `svg.page_style`. Series are by label; NaN is not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tempreg.report.style import COLOURS, line_styles

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""x and y of each line."""

_WIDTH = 4.8
_ROW = 0.2
"""Inches: of every figure, and of a row of its legend or of labels."""


def lines_figure(
    series: Series,
    x_label: str,
    y_label: str,
    *,
    spread: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """A line a label, told apart by colour, dash and marker; `spread` draws ± bars."""
    rows = -(-len(series) // 2) if len(series) > 1 else 0
    figure = Figure(figsize=(_WIDTH, 3.2 + _ROW * rows), layout="constrained")
    axes = figure.subplots()
    for (label, (x, y)), style in zip(series.items(), line_styles(len(series)), strict=True):
        if spread is None:
            axes.plot(x, y, label=_short(label), **style)
        else:
            bars = [0.0 if isnan(s) else s for s in spread[label]]
            axes.errorbar(x, y, yerr=bars, label=_short(label), capsize=2, **style)
    _finish(axes, x_label, y_label)
    if all(float(place).is_integer() for x, _ in series.values() for place in x):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if rows:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def forest_figure(
    rows: Sequence[tuple[str, float, float, float]],
    x_label: str,
    *,
    margin: float | None = None,
    wide: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Differences (label, mean, low, high) as points with intervals, from the top down.

    `margin` shades what counts as equal; `wide` draws a second, thin interval by label.
    """
    figure = Figure(figsize=(_WIDTH, 1.1 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color=axes.spines["left"].get_edgecolor(), linewidth=1)
    if margin is not None:
        axes.axvspan(-margin, margin, color=COLOURS[2], alpha=0.15, linewidth=0)
    for place, (label, mean, low, high) in enumerate(rows):
        y = len(rows) - 1 - place
        if not isnan(low):
            axes.plot([low, high], [y + 0.08, y + 0.08], color=COLOURS[0], linewidth=2.5)
        if wide and label in wide:
            axes.plot(wide[label], [y - 0.14, y - 0.14], color=COLOURS[1], linewidth=1.2)
        axes.plot([mean], [y + 0.08], marker="o", color=COLOURS[0], markersize=5)
    axes.set_yticks(range(len(rows)), [_short(row[0]) for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(x_label)
    axes.grid(alpha=0.2, axis="x")
    return figure


def dots_figure(
    columns: Mapping[str, Sequence[float]],
    labels: Sequence[str],
    x_label: str,
    spread: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """A row a label, in it a dot a column, with ± bars where `spread` has them."""
    figure = Figure(figsize=(_WIDTH, 1.4 + 0.32 * len(labels)), layout="constrained")
    axes = figure.subplots()
    top = len(labels) - 1
    for i, ((name, values), style) in enumerate(
        zip(columns.items(), line_styles(len(columns)), strict=True)
    ):
        offset = 0.16 * ((len(columns) - 1) / 2 - i)
        y = [top - place + offset for place in range(len(labels))]
        bars = [0.0 if isnan(s) else s for s in spread[name]] if spread else None
        axes.errorbar(values, y, xerr=bars, capsize=2, label=name, **{**style, "linestyle": ""})
    axes.set_yticks(range(len(labels)), [_short(label) for label in reversed(labels)])
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.set_xlabel(x_label)
    axes.grid(alpha=0.2)
    if len(columns) > 1:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def map_figure(
    values: Sequence[Sequence[float]],
    rows: Sequence[str],
    x_label: str,
    unit: str,
    *,
    columns: Sequence[str] | None = None,
    y_label: str = "",
) -> Figure:
    """A heat map, a row a label; columns have labels too, or are counted from 1."""
    figure = Figure(figsize=(_WIDTH, 1.3 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    image = axes.pcolormesh(
        np.ma.masked_invalid(np.asarray(values)), cmap="cividis", edgecolors="none"
    )
    axes.set_yticks([i + 0.5 for i in range(len(rows))], [_short(row) for row in rows])
    labels = columns or [str(i + 1) for i in range(len(values[0]))]
    places = range(0, len(labels), -(-len(labels) // 10))
    axes.set_xticks([i + 0.5 for i in places], [_short(labels[i]) for i in places])
    axes.invert_yaxis()
    axes.set(xlabel=x_label, ylabel=y_label)
    figure.colorbar(image, label=unit)
    return figure


def _finish(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.grid(alpha=0.2)


def _short(label: str) -> str:
    return label if len(label) <= 28 else f"{label[:27]}…"
