"""Figures of the analyses of time: gradients and Fisher information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from tempreg.report.figures import finish
from tempreg.report.style import line_styles, shortened

if TYPE_CHECKING:
    from tempreg.analysis.fisher import Fisher
    from tempreg.analysis.gradients import TemporalGradients
    from tempreg.analysis.own_gradients import OwnGradients


def fisher_figure(fisher: Fisher) -> Figure:
    """I_t with its centroid and interval; and ||w||^2 I_t by layer, which norms don't change."""
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    total, scaled = figure.subplots(1, 2)
    steps = range(1, len(fisher.per_step) + 1)
    (style,) = line_styles(1)
    total.plot(steps, fisher.per_step, **style, label="all layers")
    low, high = fisher.centroid_interval
    text = f"centroid {fisher.centroid:.2f}"
    if np.isfinite(low):
        total.axvspan(low, high, facecolor="0.5", alpha=0.2, edgecolor="none", zorder=0)
        text += f" ({low:.2f} to {high:.2f})"
    total.axvline(fisher.centroid, color="0.5", linestyle=":", label=text)
    total.set_ylim(0, 1.1 * max(fisher.per_step.max(), 1e-12))
    layers = [(n, row) for n, row in zip(fisher.layers, fisher.scaled, strict=True) if row.any()]
    for (name, row), layer_style in zip(layers, line_styles(len(layers)), strict=True):
        scaled.plot(steps, row, **layer_style, label=shortened(name))
    if layers:
        scaled.set_yscale("log")
    finish(total, "timesteps used, t", fisher.units["per_step"], "Fisher information")
    finish(scaled, "timesteps used, t", fisher.units["scaled"], "By layer", legend=False)
    if layers:  # beside the lines, which fill the panel
        scaled.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def gradients_figure(result: TemporalGradients) -> Figure:
    """Norms by timestep, the matrix by lag, and the shares of weight gradients."""
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    norms, decay, weights = figure.subplots(1, 3)
    steps = range(1, result.norms.shape[1] + 1)
    styles = line_styles(len(result.layers))
    for name, norm, matrix, rho, style in zip(
        result.layers, result.norms, result.matrix, result.decay, styles, strict=True
    ):
        norms.plot(steps, norm, **style, label=shortened(name))
        by_lag = [float(np.mean(np.diagonal(matrix, -lag))) for lag in range(len(matrix))]
        label = f"{shortened(name)}: x {rho:.2f} a step"
        decay.plot(
            range(len(by_lag)), np.where(np.array(by_lag) > 0, by_lag, np.nan), **style, label=label
        )
    styles = line_styles(len(result.weights))
    for name, share, style in zip(result.weights, result.weight_shares, styles, strict=True):
        weights.plot(steps, share, **style, label=shortened(name.removesuffix(".weight")))
    for axes in (norms, decay):
        if any(np.nansum(line.get_ydata()) > 0 for line in axes.lines):
            axes.set_yscale("log")
    finish(norms, "timestep t", "‖∂L/∂h[t]‖ (loss / potential)", "Gradient by timestep")
    finish(decay, "lag t' - t (timesteps)", "mean G[t', t] (loss / potential)", "Decay over time")
    finish(weights, "timestep t", "share of the weight gradient", "Where weight gradients arise")
    return figure


def own_gradients_figure(result: OwnGradients) -> Figure:
    """Norms by timestep at the last epoch, and the ratio of the first to the last by epoch."""
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    norms, ratio = figure.subplots(1, 2)
    steps = range(1, result.norms.shape[2] + 1)
    styles = line_styles(len(result.layers))
    for name, row, style in zip(result.layers, result.norms[-1], styles, strict=True):
        norms.plot(steps, row, **style, label=shortened(name))
    (style,) = line_styles(1)
    ratio.plot(result.epochs, result.first_last, **style)
    for axes in (norms, ratio):
        if any(np.nansum(line.get_ydata()) > 0 for line in axes.lines):
            axes.set_yscale("log")
    title = f"Gradient by timestep, epoch {result.epochs[-1]:g}"
    finish(norms, "timestep t", "‖∂L/∂h[t]‖ (loss / potential)", title)
    finish(ratio, "epoch", result.units["first_last"], "First to last timestep", legend=False)
    return figure
