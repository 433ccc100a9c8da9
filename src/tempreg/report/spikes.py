"""Pictures of spikes and their cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tempreg.report.panels import heat_map, label, panels
from tempreg.report.style import COLOURS, line_styles


def spikes_figure(result: Any) -> Figure:
    """Rates, dead and saturated neurons, operations, energy and potentials of one result."""
    figure, (rate, silent, cost, energy, potential) = panels(5, width=4.0)
    heat_map(rate, result.rate, unit=result.units["rate"], rows=result.layers)
    rate.set(xlabel="timestep", title="Firing rate")
    at = np.arange(len(result.layers))
    silent.barh(at - 0.2, 100 * result.dead, 0.4, color=COLOURS[0], label="never fire")
    silent.barh(at + 0.2, 100 * result.saturated, 0.4, color=COLOURS[4], hatch="//",
                label="always fire")  # fmt: skip
    silent.set_yticks(at, result.layers, fontsize="x-small")
    silent.invert_yaxis()
    silent.legend(frameon=False, fontsize="small")
    label(silent, "neurons (%)", "", "Dead and saturated")
    names = [f"{n} ({k})" for n, k in zip(result.weight_layers, result.kinds, strict=True)]
    rows = np.arange(len(names))
    cost.barh(rows + 0.2, result.dense.sum(axis=1), 0.4, color="0.8", label="no input at 0")
    cost.barh(rows - 0.2, result.operations.sum(axis=1), 0.4, color=COLOURS[0], label="counted")
    cost.set_yticks(rows, names, fontsize="x-small")
    cost.invert_yaxis()
    cost.set_xscale("log")
    cost.legend(frameon=False, fontsize="small")
    label(cost, "operations a sample, all timesteps", "", "Synaptic operations")
    steps = np.arange(1, len(result.energy) + 1)
    energy.bar(steps, result.energy, color=COLOURS[0])
    label(energy, "timestep", result.units["energy"], "Arithmetic energy", whole=True)
    middles = (result.membrane_edges[1:] + result.membrane_edges[:-1]) / 2
    for row, name, style in zip(
        result.membrane, result.layers, line_styles(len(result.layers)), strict=True
    ):
        potential.plot(middles, 100 * row, label=name, **{**style, "marker": ""})
    potential.axvline(1.0, color="0.5", linestyle=":", label="threshold")
    potential.legend(frameon=False, fontsize="x-small")
    label(potential, "membrane potential h / v_threshold", "neurons and timesteps (%)",
          "Membrane before the spike")  # fmt: skip
    return figure
