"""Accuracy against the mean number of timesteps until an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from tempreg.analysis.figures.panels import label, panels
from tempreg.report.style import legible, line_styles

if TYPE_CHECKING:
    from tempreg.analysis.early_exits import Curve


def exits_figure(curve: Curve, marks: Mapping[str, tuple[float, float]]) -> Figure:
    """The curve over all thresholds, and points beside it by name: timesteps and accuracy."""
    figure, (axes,) = panels(1, width=5)
    (style,) = line_styles(1)
    faint = {**style, "marker": "", "label": "any threshold"}
    axes.plot(curve.timesteps, [100 * a for a in curve.accuracy], **faint)
    for (name, (timesteps, accuracy)), own in zip(
        marks.items(), line_styles(len(marks) + 1)[1:], strict=True
    ):
        point = {**own, "linestyle": "none", "markersize": 9, "label": legible(name)}
        axes.plot([timesteps], [100 * accuracy], **point)
    axes.legend(frameon=False, fontsize="x-small")
    label(axes, "mean timesteps until the answer", "accuracy (%)", "Answering early")
    return figure
