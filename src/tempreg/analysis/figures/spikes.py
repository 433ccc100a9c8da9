"""Pictures of spikes and their cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tempreg.analysis.figures.panels import heat_map, label, panels
from tempreg.report.style import COLOURS, legible, line_styles


def spikes_figure(result: Any) -> Figure:
    """Rates, dead and saturated neurons, a raster, operations, energy and potentials of one result;
    what it doesn't have gets no panel."""
    drawn = [_rate, _silent]
    if np.isfinite(result.raster).any():
        drawn.append(_raster)
    if result.weight_layers:
        drawn += [_cost, _energy]
    if np.isfinite(result.membrane).any():
        drawn.append(_potential)
    figure, places = panels(len(drawn), width=4.0)
    for draw, axes in zip(drawn, places, strict=True):
        draw(axes, result)
    return figure


def _rate(axes: Axes, result: Any) -> None:
    heat_map(axes, result.rate, unit=result.units["rate"], rows=result.layers)
    axes.set(xlabel="timestep", title="Firing rate")


def _silent(axes: Axes, result: Any) -> None:
    at = np.arange(len(result.layers))
    axes.barh(at - 0.2, 100 * result.dead, 0.4, color=COLOURS[0], label="never fire")
    axes.barh(
        at + 0.2, 100 * result.saturated, 0.4, color=COLOURS[4], hatch="//", label="always fire"
    )
    axes.set_yticks(at, result.layers, fontsize="x-small")
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize="small")
    label(axes, "neurons (%)", "", "Dead and saturated")


def _raster(axes: Axes, result: Any) -> None:
    """A mark a spike of the first sample, the layers under one another."""
    start, middles = 0, []
    colours = [style["color"] for style in line_styles(len(result.layers))]
    for rows, colour in zip(result.raster, colours, strict=True):
        there = rows[np.isfinite(rows).all(axis=1)]
        neuron, step = np.nonzero(there)
        axes.plot(step + 1, start + neuron, "|", color=colour, markersize=3)
        middles.append(start + len(there) / 2)
        start += len(there)
        axes.axhline(start - 0.5, color="0.7", linewidth=0.6)
    axes.set_yticks(middles, result.layers, fontsize="x-small")
    axes.set_xlim(0.5, result.raster.shape[2] + 0.5)
    axes.set_ylim(start - 0.5, -0.5)
    label(axes, "timestep", "", "Spikes of the first sample", whole=True)


def _cost(axes: Axes, result: Any) -> None:
    names = [f"{n} ({k})" for n, k in zip(result.weight_layers, result.kinds, strict=True)]
    rows = np.arange(len(names))
    axes.barh(rows + 0.2, result.dense.sum(axis=1), 0.4, color="0.8", label="no input at 0")
    axes.barh(rows - 0.2, result.operations.sum(axis=1), 0.4, color=COLOURS[0], label="counted")
    axes.set_yticks(rows, names, fontsize="x-small")
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.legend(frameon=False, fontsize="small")
    label(axes, "operations a sample, all timesteps", "", "Synaptic operations")


def _energy(axes: Axes, result: Any) -> None:
    steps = np.arange(1, len(result.energy) + 1)
    axes.bar(steps, result.energy, color=COLOURS[0])
    label(axes, "timestep", result.units["energy"], "Arithmetic energy", whole=True)


def _potential(axes: Axes, result: Any) -> None:
    middles = (result.membrane_edges[1:] + result.membrane_edges[:-1]) / 2
    styles = line_styles(len(result.layers))
    for row, name, style in zip(result.membrane, result.layers, styles, strict=True):
        axes.plot(middles, 100 * row, label=legible(name), **{**style, "marker": ""})
    axes.axvline(1.0, color="0.5", linestyle=":", label="threshold")
    axes.legend(frameon=False, fontsize="x-small")
    label(
        axes,
        "membrane potential h / v_threshold",
        "neurons and timesteps (%)",
        "Membrane before the spike",
    )
