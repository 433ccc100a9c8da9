"""Pictures of flatness and of the surrogate's curvature."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tempreg.analysis.figures.panels import label, panels
from tempreg.report.style import COLOURS, line_styles

MOVE = "distance along the direction (filter norms)"
SCALED = "scaled cross-entropy (nats)"


def flatness_figure(result: Any) -> Figure:
    """1-D and 2-D slices, noise and sharpness of one `analysis.flatness` result."""
    with_plane = len(result.plane_radii) > 1
    figure, drawn = panels(5 if with_plane else 4)
    loss, accuracy, noise, sharp = (*drawn[:2], *drawn[-2:])
    blue, orange = line_styles(2)
    thin = {"markersize": 3}
    loss.plot(result.radii, result.line_loss, label="as it is", **{**blue, **thin})
    at = f"at temperature {result.temperature:.2f}"
    loss.plot(result.radii, result.line_scaled_loss, label=at, **{**orange, **thin})
    loss.legend(frameon=False, fontsize="small")
    label(loss, MOVE, "cross-entropy (nats)", "Loss, 1-D slice")
    accuracy.plot(result.radii, 100 * result.line_accuracy, **{**blue, **thin})
    label(accuracy, MOVE, "accuracy (%)", "Accuracy, 1-D slice")
    if with_plane:
        _plane(figure, drawn[2], result)
    noise.axhline(100 * result.accuracy, color="0.5", linestyle=":", label="no noise")
    spread = result.noise_accuracy
    noise.errorbar(
        result.sigmas,
        100 * spread.mean(axis=1),
        100 * spread.std(axis=1),
        capsize=3,
        label="mean ± sd over draws",
        **blue,
    )
    noise.legend(frameon=False, fontsize="small")
    label(noise, "noise (standard deviation, of each weight)", "accuracy (%)", "Weight noise")
    figure.suptitle(f"Moved: {result.moved}", fontsize="small")
    sharp.plot(result.rhos, result.sharpness_random, label="random corners", **blue)
    sharp.plot(result.rhos, result.sharpness_ascent, label="surrogate ascent", **orange)
    sharp.legend(frameon=False, fontsize="small")
    label(
        sharp,
        "largest change (of each weight)",
        "rise of the scaled loss (nats)",
        "Adaptive sharpness",
    )
    return figure


def _plane(figure: Figure, plane: Axes, result: Any) -> None:
    """The 2-D slice."""
    values, at_radii = result.plane_scaled_loss.T, result.plane_radii
    filled = plane.contourf(at_radii, at_radii, values, levels=12, cmap="cividis")
    figure.colorbar(filled, ax=plane, label=SCALED)
    if np.ptp(result.plane_accuracy) > 0:
        drawn = plane.contour(
            at_radii,
            at_radii,
            100 * result.plane_accuracy.T,
            levels=5,
            colors="white",
            linewidths=0.9,
        )
        plane.clabel(drawn, fmt="%.0f%%", fontsize="x-small")
    label(
        plane,
        "first direction (filter norms)",
        "second direction (filter norms)",
        "2-D slice (lines: accuracy)",
    )


def curvature_figure(result: Any) -> Figure:
    """Top eigenvalue and trace of the surrogate's Hessian and Gauss-Newton matrix."""
    figure, (top, trace) = panels(2)
    at, unit = range(len(result.matrices)), result.units["top"]
    top.bar(at, result.top, 0.5, color=COLOURS[0])
    trace.bar(at, result.trace, 0.5, yerr=result.trace_error, capsize=4, color=COLOURS[0])
    for axes, title in ((top, "Top eigenvalue"), (trace, "Trace ± standard error")):
        label(axes, "of the surrogate, not of the true loss", unit, title)
        axes.set_xticks(at, result.matrices)
    return figure
