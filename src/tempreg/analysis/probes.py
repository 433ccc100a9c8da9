"""Linear probes: how much of the class can be read off each layer's spikes at each step.

Ridge regression from spikes to one-hot labels, fitted on one set and scored on another. Its
strength is chosen on the fitting set alone, by the leave-one-out error in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.analysis.aligned import aligned, steps
from tempreg.analysis.capture import IsNeuron, check_data, chunks, record
from tempreg.analysis.result import Result
from tempreg.objectives.labels import check_classes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
RIDGES = tuple(10.0**k for k in range(-6, 3))


@final
@dataclass(frozen=True, kw_only=True)
class Probes(Result):
    """Accuracy of a linear readout of each layer at each step, on data it wasn't fitted to.

    `ridge` is the strength that was chosen, as a share of the features' mean squared norm.
    """

    quantity: ClassVar[str] = "probes"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {
        "accuracy": ("layer", "timestep"),
        "ridge": ("layer", "timestep"),
    }
    units: ClassVar[dict[str, str]] = {"accuracy": "share of samples", "ridge": "relative"}
    layers: list[str]
    accuracy: Array
    ridge: Array

    def table(self) -> str:
        """Accuracy by layer and step."""
        rows = [(name, *row) for name, row in zip(self.layers, self.accuracy, strict=True)]
        return aligned(("probe accuracy", *steps(self.accuracy.shape[1])), rows)

    def figure(self) -> Figure:
        """A heat map of accuracy, layer × step."""
        from tempreg.analysis.figures.anytime import probes_figure

        return probes_figure(self)


def linear_probes(
    model: nn.Module,
    fit: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    cumulative: bool = True,
    grid: int = 4,
    is_neuron: IsNeuron | None = None,
    chunk: int = 64,
) -> Probes:
    """Probes at every layer of neurons and step, in eval mode; the model is unchanged.

    Args:
        model: inputs -> logits [T, B, classes].
        fit, test: (inputs, targets) to fit on and to score on; see `tempreg.analysis.capture`.
        cumulative: probe the mean of the spikes up to each step, else those at the step.
        grid: spikes [.., C, H, W] are averaged to at most grid x grid places, which bounds the
            features of a layer to C grid².
        is_neuron: which modules are neurons; tempreg's if None.
        chunk: samples run at once; in memory are a chunk's spikes and all samples' features.

    Raises:
        ValueError: bad arguments or data, or fewer than two samples to fit on.
    """
    if grid < 1:
        raise ValueError(f"grid must be >= 1, got {grid}")
    for inputs, targets in (fit, test):
        check_data(inputs, targets)
    if len(fit[1]) < 2:
        raise ValueError("a probe needs at least two samples to fit on")
    known, unseen = (_features(model, data, grid, is_neuron, chunk) for data in (fit, test))
    labels, truth = fit[1].cpu().numpy(), test[1].cpu().numpy()
    classes = int(max(labels.max(), truth.max())) + 1
    accuracy, ridge = [], []
    for name, x in known.items():
        z = unseen[name]
        if cumulative:
            counts = np.arange(1, len(x) + 1)[:, None, None]
            x, z = x.cumsum(axis=0) / counts, z.cumsum(axis=0) / counts
        for a, b in zip(x, z, strict=True):
            scores, strength = ridge_scores(a, np.eye(classes)[labels], b)
            accuracy.append(float((scores.argmax(axis=1) == truth).mean()))
            ridge.append(strength)
    shape = (len(known), -1)
    return Probes(
        layers=list(known),
        accuracy=np.array(accuracy).reshape(shape),
        ridge=np.array(ridge).reshape(shape),
        settings={
            "fitted on": len(labels),
            "scored on": len(truth),
            "cumulative": cumulative,
            "grid": grid,
            "chunk": chunk,
        },
    )


def ridge_scores(x: Array, y: Array, z: Array) -> tuple[Array, float]:
    """Predictions at z [M, F] of ridge regression with an intercept from x [N, F] to y [N, C].

    Minimises |Y - X W|² + r |W|² over centred X and Y; r is the one of RIDGES times the mean of
    |x_n|² with the least mean squared leave-one-out error. Returns [M, C] and that factor.
    """
    centre, middle = x.mean(axis=0), y.mean(axis=0)
    a, b, c = x - centre, y - middle, z - centre
    values, vectors = np.linalg.eigh(a @ a.T)
    values = values.clip(min=0.0)
    size = values.sum() / len(x)
    if size == 0:  # nothing fires, or always the same
        return np.tile(middle, (len(z), 1)), RIDGES[-1]
    rotated = vectors.T @ b
    errors = []
    for factor in RIDGES:
        kept = values / (values + factor * size)
        leverage = (vectors**2) @ kept + 1 / len(x)
        residual = b - vectors @ (kept[:, None] * rotated)
        errors.append(float(((residual / (1 - leverage).clip(min=1e-9)[:, None]) ** 2).mean()))
    best = RIDGES[int(np.argmin(errors))]
    dual = vectors @ (rotated / (values + best * size)[:, None])
    return middle + (c @ a.T) @ dual, best


def _features(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    grid: int,
    is_neuron: IsNeuron | None,
    chunk: int,
) -> dict[str, Array]:
    """Spikes of each layer, averaged over places, float64 [T, N, F]."""
    parts: dict[str, list[Tensor]] = {}
    for x, y in chunks(*data, chunk):
        seen = record(model, x, is_neuron)
        check_classes(y, seen.logits.shape[2])
        for name, s in seen.spikes.items():
            if s.ndim == 5:
                places = (min(grid, s.shape[-2]), min(grid, s.shape[-1]))
                s = F.adaptive_avg_pool2d(s.flatten(0, 1), places).unflatten(0, s.shape[:2])
            parts.setdefault(name, []).append(s.flatten(2).double().cpu())
    return {name: torch.cat(found, dim=1).numpy() for name, found in parts.items()}
