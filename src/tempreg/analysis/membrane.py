"""Membrane potentials of recorded neurons, and their histogram."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tempreg.analysis.factors import relative_potentials
from tempreg.neurons import Neuron, StepNeuron
from tempreg.ops.lif_reference import charge, reset


def potentials(neuron: Neuron, currents: Tensor, spikes: Tensor) -> Tensor:
    """h[t] before each spike, [T, *N], from a layer's currents and spikes and v[-1] = 0.

    h[t] = v[t-1] / tau + x[t], and v[t] from h[t] and s[t] as in `functional.lif`.
    """
    tau = torch.as_tensor(neuron.current_tau()).detach().to(currents)
    v, before = neuron.initial_state(currents), []
    for x, s in zip(currents, spikes, strict=True):
        h = charge(v, x, tau)
        v = reset(h, s, neuron.spec)
        before.append(h)
    return torch.stack(before)


def histogram(
    module: nn.Module, currents: Tensor, spikes: Tensor, edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How many h / v_threshold fall between the edges, [bins]; the outer bins take the rest.

    NaN for neurons whose equations aren't known here, or whose threshold isn't positive.
    """
    if isinstance(module, StepNeuron):
        h = relative_potentials(module, currents).double()
        if h.isnan().any():
            return np.full(len(edges) - 1, np.nan)
        return _counts(h, edges)
    if not isinstance(module, Neuron) or module.spec.v_threshold <= 0:
        return np.full(len(edges) - 1, np.nan)
    with torch.no_grad():
        h = potentials(module, currents, spikes).double() / module.spec.v_threshold
    return _counts(h, edges)


def _counts(h: Tensor, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    # Right-closed bins: h = v_threshold is below the edge 1, for it doesn't spike.
    inner = torch.from_numpy(edges[1:-1]).to(h.device)
    found = torch.bucketize(h.flatten(), inner)
    counts = torch.bincount(found, minlength=len(edges) - 1).double()
    made: NDArray[np.float64] = counts.cpu().numpy()
    return made
