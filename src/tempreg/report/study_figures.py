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
from numpy.typing import ArrayLike, NDArray

from tempreg.report.style import COLOURS, legible, line_styles

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""x and y of each line."""

MOST_BANDS = 6
"""Lines with bands and dots in one figure."""

_LANDSCAPE = 3.1
"""Inches: the width of one map of several."""

_NUMBERED = 12
"""Classes up to which counts stand in a confusion matrix."""

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


def band_figure(
    runs: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]],
    x_label: str,
    y_label: str,
    *,
    log: bool = False,
) -> Figure:
    """A line a label, the mean over its runs; the runs as dots, and their spread as a band.

    Args:
        runs: by label, x and each run's y. With more than `MOST_BANDS` labels bands and dots would
            hide one another, and the lines stand alone.
        log: whether y is logarithmic, where it is above 0 anywhere.
    """
    means = {label: (x, _mean(ys).tolist()) for label, (x, ys) in runs.items()}
    figure = lines_figure(means, x_label, y_label)
    axes = figure.axes[0]
    if len(runs) <= MOST_BANDS:
        for (x, ys), style in zip(runs.values(), line_styles(len(runs)), strict=True):
            rows, colour = np.asarray(ys, dtype=float), style["color"]
            mean, sd = _mean(rows), _sd(rows)
            axes.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.18, linewidth=0)
            for row in rows:
                axes.plot(x, row, linestyle="", marker=".", markersize=4, color=colour, alpha=0.45)
    if log and any((_mean(ys) > 0).any() for _, ys in runs.values()):
        axes.set_yscale("log")
    return figure


def landscapes_figure(
    maps: Mapping[str, Sequence[Sequence[float]]], radii: Sequence[float], unit: str
) -> Figure:
    """Maps over two directions beside each other, on the same axes and the same colours.

    Args:
        maps: by label, values [second direction, first direction].
        radii: places along both, in filter norms.
    """
    values = {label: np.asarray(rows, dtype=float) for label, rows in maps.items()}
    low = min(float(np.nanmin(v)) for v in values.values())
    high = max(float(np.nanmax(v)) for v in values.values())
    levels = np.linspace(low, high if high > low else low + 1e-9, 13)
    figure = Figure(figsize=(_LANDSCAPE * len(maps) + 1.0, 3.6), layout="constrained")
    panels = list(np.atleast_1d(figure.subplots(1, len(maps), sharex=True, sharey=True)))
    for axes, (label, rows) in zip(panels, values.items(), strict=True):
        filled = axes.contourf(radii, radii, rows, levels=levels, cmap="cividis")
        axes.set(xlabel="first direction", title=_short(label))
        axes.set_aspect("equal")
    panels[0].set_ylabel("second direction (filter norms)")
    figure.colorbar(filled, ax=panels, label=unit)
    return figure


def forest_figure(
    rows: Sequence[tuple[str, float, float, float]],
    x_label: str,
    *,
    margin: float | None = None,
    wide: Mapping[str, tuple[float, float]] | None = None,
    single: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Differences (label, mean, low, high) as points with intervals, from the top down.

    `margin` shades differences too small to matter; `wide` draws a second, thin interval by label,
    and `single` each run's own difference.
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
        for value in (single or {}).get(label, ()):
            axes.plot([value], [y + 0.3], marker=".", markersize=4, color=COLOURS[0], alpha=0.5)
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
    single: Mapping[str, Sequence[Sequence[float]]] | None = None,
) -> Figure:
    """A row a label, in it a dot a column, with ± bars where `spread` has them, and small dots for
    the runs in `single`, by column and label."""
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
        for place, runs in zip(y, single[name] if single else (), strict=bool(single)):
            for run in runs:
                axes.plot([run], [place], marker=".", color=style["color"], alpha=0.4, markersize=4)
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


def _mean(rows: ArrayLike) -> NDArray[np.float64]:
    """Over the first axis, of what was measured; NaN where nothing was."""
    values = np.asarray(rows, dtype=np.float64)
    counts = np.isfinite(values).sum(axis=0)
    total = np.where(np.isfinite(values), values, 0.0).sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _sd(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the first axis, with n - 1 below; 0 for one run."""
    if len(rows) < 2:
        return np.zeros(rows.shape[1])
    return np.asarray(np.sqrt(_mean((rows - _mean(rows)) ** 2) * len(rows) / (len(rows) - 1)))


def _finish(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.grid(alpha=0.2)


def _short(label: str) -> str:
    return legible(label if len(label) <= 28 else f"{label[:27]}…")


def confusion_figure(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """A map of a confusion matrix, rows that are classes as shares; counts stand in the cells where
    there are few classes."""
    values = np.asarray(counts, dtype=float)
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    size = min(max(_WIDTH, 1.6 + 0.3 * len(classes)), 2 * _WIDTH)
    figure = Figure(figsize=(size, 0.82 * size), layout="constrained")
    axes = figure.subplots()
    image = axes.pcolormesh(100 * shares, cmap="cividis", vmin=0, vmax=100)
    if len(classes) <= _NUMBERED:
        for (row, column), count in np.ndenumerate(values):
            colour = "black" if shares[row, column] > 0.5 else "white"
            place = (column + 0.5, row + 0.5)
            axes.text(*place, f"{count:.0f}", ha="center", va="center", color=colour, fontsize=7)
    names = [legible(name[:14]) for name in classes]
    places = [i + 0.5 for i in range(len(classes))]
    axes.set_xticks(places, names, rotation=90, fontsize=7)
    axes.set_yticks(places, names, fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel="answer", ylabel="class")
    figure.colorbar(image, label="% of the class")
    return figure


def pictures_figure(
    rows: Sequence[NDArray[np.float64]], titles: Sequence[str]
) -> tuple[int, Figure]:
    """Rows of pictures, each with a title; single pictures stand beside each other instead.

    Args:
        rows: [K, H, W, 3] each, in 0 ... 1, of the same K.
        titles: one a row.

    Returns:
        K, and the figure.
    """
    steps = len(rows[0])
    across = steps if steps > 1 else min(3, len(rows))
    down = len(rows) if steps > 1 else -(-len(rows) // across)
    figure = Figure(figsize=(_WIDTH, 0.15 + down * (_WIDTH / across + 0.3)), layout="constrained")
    panels = np.asarray(figure.subplots(down, across, squeeze=False))
    for axes in panels.flat:
        axes.set_axis_off()
    for place, (row, title) in enumerate(zip(rows, titles, strict=True)):
        for step, picture in enumerate(row):
            axes = panels[place, step] if steps > 1 else panels.flat[place]
            axes.imshow(picture, interpolation="nearest")
            if step == 0:
                left = steps > 1
                words = legible(title)
                words = words if left else words.replace(" taken for ", "\ntaken for ")
                axes.set_title(words, fontsize=7, loc="left" if left else "center")
    return steps, figure
