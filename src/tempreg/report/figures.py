"""Pictures of runs, drawn from their folders' files alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tempreg.files import replacing
from tempreg.report.style import legible, line_styles

Lines = list[dict[str, Any]]


def training_figure(metrics: Mapping[str, Lines], summaries: Mapping[str, Any]) -> Figure:
    """Training curves and test accuracy by timestep of one or more runs.

    Args:
        metrics: the lines of each run's metrics.jsonl, by the run's label.
        summaries: each run's summary.json, by the same labels.
    """
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    loss, accuracy, steps = figure.subplots(1, 3)
    for (label, lines), style in zip(metrics.items(), line_styles(len(metrics)), strict=True):
        train = [line for line in lines if line["split"] == "train"]
        validation = [line for line in lines if line["split"] == "validation"]
        epochs = [line["epoch"] for line in train]
        faint = {**style, "alpha": 0.4, "marker": ""}
        loss.plot(epochs, [line["loss"] for line in train], **style, label=legible(label))
        accuracy.plot(epochs, [line["accuracy"] for line in train], **faint)
        seen = [line["epoch"] for line in validation]
        accuracy.plot(
            seen, [line["accuracy"] for line in validation], **style, label=legible(label)
        )
        per_step = summaries[label]["accuracy_per_step"]
        mark = " (chosen on test)" if summaries[label].get("chosen_on_test") else ""
        steps.plot(range(1, len(per_step) + 1), per_step, **style, label=f"{legible(label)}{mark}")
    finish(loss, "epoch", "training loss (each its own objective)", "Loss")
    finish(accuracy, "epoch", "accuracy", "Validation (faint: training)")
    finish(steps, "timesteps used", "test accuracy", "Accuracy by timestep")
    for axes in (accuracy, steps):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def finish(axes: Axes, x_label: str, y_label: str, title: str, *, legend: bool = True) -> None:
    """Labels, whole numbers along x, a grid, and a legend."""
    axes.set(xlabel=x_label, ylabel=y_label, title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if legend:
        axes.legend(frameon=False, fontsize="small")


def save_figure(figure: Figure, path: Path) -> None:
    """Replace the picture at `path`; its suffix (.png, .svg, .pdf) says which kind.

    The same figure gives the same bytes: neither the date nor random names are in it.
    """
    kind = path.suffix.lstrip(".")
    date: Any = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with rc_context({"svg.hashsalt": "tempreg"}), replacing(path) as temporary:
        if kind == "svg":  # which `savefig` would draw twice, to the same bytes
            figure.set_dpi(150)
            FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
                temporary, metadata=date
            )
        else:
            figure.savefig(temporary, format=kind, dpi=150, metadata=date)
