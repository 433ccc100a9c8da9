"""Drawing shared by the figures of analyses: panels in a row, axes with units, heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tempreg.report.style import legible, line_styles

LEGEND_ROWS = 12
MOST_TICKS = 32
"""Along x of a heat map; of more columns, every second, third, ... is numbered."""


def panels(count: int, *, width: float = 3.7, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes in a row; sizes are inches for each."""
    figure = Figure(figsize=(width * count, height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, count)))


def label(axes: Axes, x: str, y: str, title: str, *, whole: bool = False) -> None:
    """Labels with units, a faint grid, and whole numbers along x where `whole`."""
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    if whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def lines(axes: Axes, x: Any, rows: NDArray[np.float64], names: Sequence[str]) -> None:
    """One line for each row, with names in a legend."""
    for row, name, style in zip(rows, names, line_styles(len(names)), strict=True):
        axes.plot(x, row, label=legible(name), **style)
    axes.legend(frameon=False, fontsize="x-small", ncols=1 + (len(names) - 1) // LEGEND_ROWS)


def heat_map(
    axes: Axes, values: NDArray[np.float64], *, unit: str, rows: Sequence[str], number: str = ".2f"
) -> None:
    """Values [row, column] with each number written in its cell; columns count from 1."""
    image = axes.imshow(values, cmap="cividis", aspect="auto")
    axes.set_yticks(range(len(rows)), rows, fontsize="x-small")
    shown = range(0, values.shape[1], 1 + (values.shape[1] - 1) // MOST_TICKS)
    axes.set_xticks(shown, [str(t + 1) for t in shown])
    finite = values[np.isfinite(values)]
    middle = (finite.min() + finite.max()) / 2 if finite.size else 0.0
    if values.size <= 240:
        for (row, column), value in np.ndenumerate(values):
            colour = "black" if value > middle else "white"
            axes.text(
                column,
                row,
                format(value, number),
                ha="center",
                va="center",
                color=colour,
                fontsize="xx-small",
            )
    figure = axes.figure
    figure.colorbar(image, ax=axes, label=unit)
