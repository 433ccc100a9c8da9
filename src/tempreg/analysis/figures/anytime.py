"""Pictures of accuracy over time: anytime, other T, corrupted input, and probes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tempreg.analysis.figures.panels import heat_map, label, lines, panels
from tempreg.report.style import line_styles

STEPS = "timesteps used"


def anytime_figure(result: Any) -> Figure:
    """Accuracy and confidence, calibration error, loss by step; early exit."""
    figure, (accuracy, calibration, loss, leave) = panels(4)
    steps = np.arange(1, len(result.accuracy) + 1)
    both = 100 * np.stack([result.accuracy, result.confidence])
    lines(accuracy, steps, both, ["accuracy", "mean confidence"])
    label(accuracy, STEPS, "%", "Accuracy and confidence", whole=True)
    (style,) = line_styles(1)
    calibration.plot(steps, 100 * result.calibration_error, **style)
    label(calibration, STEPS, "expected calibration error (%)", "Calibration", whole=True)
    calibration.set_ylim(bottom=0)
    loss.plot(steps, result.loss, **style)
    label(loss, STEPS, "cross-entropy (nats)", "Loss of the running mean", whole=True)
    loss.set_ylim(bottom=0)
    known = np.isfinite(result.exit_energy).all()
    x = result.exit_energy if known else result.exit_steps
    leave.plot(x, 100 * result.exit_accuracy, **style)
    for at, theta in enumerate(result.thresholds):
        if at in (1, len(result.thresholds) // 2, len(result.thresholds) - 1):
            leave.annotate(
                f"{theta:g}",
                (x[at], 100 * result.exit_accuracy[at]),
                textcoords="offset points",
                xytext=(4, -11),
                fontsize="x-small",
            )
    unit = "mean energy (nJ a sample)" if known else "mean timesteps (energy isn't known)"
    label(leave, unit, "accuracy (%)", "Early exit (numbers: confidence)")
    return figure


def transfer_figure(result: Any) -> Figure:
    """Accuracy at each step, one line for each T it ran at."""
    figure, (axes,) = panels(1, width=5)
    names = [f"run at T = {int(steps)}" for steps in result.num_steps]
    lines(axes, np.arange(1, result.accuracy.shape[1] + 1), 100 * result.accuracy, names)
    label(axes, STEPS, "accuracy (%)", "Running at other T", whole=True)
    return figure


def robustness_figure(result: Any) -> Figure:
    """Accuracy by step under each corruption, and where early or late input is blank."""
    figure, axes = panels(len(result.kinds))
    steps = np.arange(1, result.accuracy.shape[2] + 1)
    clean = 100 * result.clean[None]
    for at, (panel, kind) in enumerate(zip(axes, result.kinds, strict=True)):
        rows = np.isfinite(result.strengths[at])
        names = ["clean", *(f"{value:g}" for value in result.strengths[at][rows])]
        lines(panel, steps, np.vstack([clean, 100 * result.accuracy[at][rows]]), names)
        panel.legend(title=result.strength_units[at], frameon=False, fontsize="x-small")
        label(panel, STEPS, "accuracy (%)", kind.capitalize(), whole=True)
        panel.set_ylim(0, 102)
    return figure


def probes_figure(result: Any) -> Figure:
    """Accuracy of a probe at each layer and step."""
    figure, (axes,) = panels(1, width=6)
    heat_map(axes, 100 * result.accuracy, unit="accuracy (%)", rows=result.layers, number=".0f")
    until = "up to" if result.settings["cumulative"] else "at"
    axes.set(xlabel="timestep", title=f"Linear probes on spikes {until} each step")
    return figure
