"""Temporal gradients: what backpropagation through time brings to each timestep.

L is the loss of the whole batch as a function of the logits, o[t]; h[t] a neuron layer's
membrane potential before it fires. The input current x[t] enters only as h[t] = v[t-1]/tau +
x[t], so dL/dh[t] = dL/dx[t], which is what is computed here.

Measured in eval mode: in training mode batch norm mixes all timesteps and samples. A penalty of
weights is no part of L here, for it reaches no timestep; its gradient is given beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tempreg.analysis.capture import (
    IsNeuron,
    check_data,
    evaluating,
    find_neurons,
)
from tempreg.analysis.gradient_sums import GradientSums, Loss, is_ours, split_layers
from tempreg.analysis.result import Result
from tempreg.analysis.weight_shares import shares

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
QUANTILES = (0.05, 0.5, 0.95, 1.0)


@final
@dataclass(frozen=True, kw_only=True)
class TemporalGradients(Result):
    """By neuron layer and timestep; see each field.

    Attributes:
        norms: ||dL/dh[t]||, over the batch and all neurons of the layer. For neurons of another
            library, which the setting "not tempreg's" lists, it is ||dL/dx[t]||, the gradient by
            their input: what x is multiplied with on its way into h is not known here. The same
            holds for `matrix`. So it is for a `StepNeuron`, where both are the same if x is added
            to h and to no other state.
        matrix: G[t', t] = T ||(do[t']/dh[t])^T dL/do[t']||, which for a loss that is a mean over
            steps is ||dl[t']/dh[t]|| of the loss l[t'] of step t'; zero for t > t'.
        decay: the factor a timestep that fits the matrix best: log G[t', t] = a[t'] + (t' - t)
            log decay, least squares over its positive entries with t <= t'; NaN where it has none
            with two different t.
        factors: quantiles over neurons of |products of dh[t+1]/dh[t]| by lag 1 ... T - 1; NaN for
            layers of other libraries. Of a `StepNeuron` they are dh[t+k]/dh[t] by autograd.
        weight_shares: <g[t], g> / ||g||^2 of weights' gradients g = sum_t g[t]; they add up to 1.
            NaN for a layer that runs once for all timesteps, and where g = 0.
        weight_norms: ||g[t]||.
        penalty_norms: the norm of the gradient that doesn't come through the logits, a penalty's.
    """

    quantity: ClassVar[str] = "gradients"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {
        "norms": ("layer", "timestep"),
        "matrix": ("layer", "loss timestep", "timestep"),
        "decay": ("layer",),
        "factors": ("layer", "lag - 1", "quantile"),
        "weight_shares": ("weight", "timestep"),
        "weight_norms": ("weight", "timestep"),
        "penalty_norms": ("weight",),
    }
    units: ClassVar[dict[str, str]] = {
        "norms": "loss / membrane potential",
        "matrix": "loss / membrane potential",
        "decay": "factor a timestep",
        "factors": "factor",
        "weight_shares": "share of the gradient",
        "weight_norms": "loss / weight",
        "penalty_norms": "loss / weight",
    }
    layers: list[str]
    weights: list[str]
    norms: Array
    matrix: Array
    decay: Array
    factors: Array
    weight_shares: Array
    weight_norms: Array
    penalty_norms: Array

    def table(self) -> str:
        """‖∂L/∂h[t]‖ by layer and step, and the decay of a step's loss over time."""
        width = max(len("layer"), *map(len, self.layers))
        steps = "".join(f"{t:>10}" for t in range(1, self.norms.shape[1] + 1))
        lines = [f"{'layer':{width}}{steps}   decay a step"]
        for name, row, rho in zip(self.layers, self.norms, self.decay, strict=True):
            values = "".join(f"{value:10.2e}" for value in row)
            lines.append(f"{name:{width}}{values}   {rho:.3f}")
        return "\n".join(lines)

    def figure(self) -> Figure:
        """Norms, decay of the matrix by lag, and shares of the weight gradients."""
        from tempreg.analysis.figures.time import gradients_figure

        return gradients_figure(self)


def temporal_gradients(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    objective: Loss,
    *,
    is_neuron: IsNeuron | None = None,
    chunk: int = 32,
) -> TemporalGradients:
    """Gradients at every timestep of one batch, in eval mode; the model is unchanged.

    Nothing here is random. A static input of a tempreg network is shown at each timestep
    separately, so that the first layer has timesteps too. Weights are parameters of two and
    more dimensions.

    Args:
        model: inputs -> logits [T, B, classes].
        inputs, targets: see `tempreg.analysis.capture`.
        objective: of (outputs, targets); it may average over the batch.
        is_neuron: which modules are neurons, where they aren't `tempreg.Neuron`.
        chunk: samples at once, >= 1: bounds memory to the graph of so many samples, beside T
            copies of the weights.

    Raises:
        ValueError: bad arguments, data that aren't fixed tensors, a model without [T, B, C] or
            without neurons, or weights that are used outside their own layer's calls.
    """
    check_data(inputs, targets, numbers=True)
    neurons, layers = find_neurons(model, is_neuron), split_layers(model)
    with evaluating(model):
        sums = GradientSums(model, neurons, layers, inputs, targets, objective, chunk)
    return _result(sums)


def weight_gradients_by_step(
    model: nn.Module, inputs: Tensor, targets: Tensor, objective: Loss, *, chunk: int = 32
) -> dict[str, Tensor]:
    """[T, *shape] by parameter name, float64: sums over T to dL/dw (without a penalty of w).

    See `temporal_gradients`.
    """
    check_data(inputs, targets, numbers=True)
    with evaluating(model):
        return GradientSums(model, {}, split_layers(model), inputs, targets, objective, chunk).parts


def fitted_decay(matrix: Array) -> float:
    """The factor a timestep, from G[t', t] of one layer; see `TemporalGradients.decay`."""
    steps = len(matrix)
    rows, lags, logs = [], [], []
    for row in range(steps):
        for t in range(row + 1):
            if matrix[row, t] > 0:
                rows.append(row)
                lags.append(row - t)
                logs.append(np.log(matrix[row, t]))
    if not logs:
        return float("nan")
    row_index, lag, log = np.array(rows), np.array(lags, float), np.array(logs)
    for row in set(rows):  # the intercept of each row drops out with its means
        mine = row_index == row
        lag[mine] -= lag[mine].mean()
        log[mine] -= log[mine].mean()
    spread = float(lag @ lag)
    return float(np.exp(lag @ log / spread)) if spread > 0 else float("nan")


def _result(sums: GradientSums) -> TemporalGradients:
    """Roots, fits, quantiles and shares."""
    norms = {name: square.sqrt() for name, square in sums.squares.items()}
    matrix = np.stack([norm[1:].numpy() for norm in norms.values()])
    weights = [n for n in sums.parts if sums.parameters[n].ndim >= 2]
    split = [shares(sums.parts[name]) for name in weights]
    penalties = [sums.penalty.get(name) for name in weights]
    return TemporalGradients(
        layers=list(norms),
        weights=weights,
        norms=np.stack([norm[0].numpy() for norm in norms.values()]),
        matrix=matrix,
        decay=np.array([fitted_decay(layer) for layer in matrix]),
        factors=np.stack([_quantiles(sums.factors[name], sums.steps) for name in norms]),
        weight_shares=np.stack([share.cpu().numpy() for share, _ in split]),
        weight_norms=np.stack([norm.cpu().numpy() for _, norm in split]),
        penalty_norms=np.array([0.0 if p is None else float(p.norm()) for p in penalties]),
        settings={
            "samples": sums.samples,
            "T": sums.steps,
            "quantiles": list(QUANTILES),
            "mode": "eval",
            "not tempreg's": [n for n, m in sums.neurons.items() if not is_ours(m)],
        },
    )


def _quantiles(factors: list[list[Tensor]], steps: int) -> Array:
    """[lag, quantile] of |products of factors|."""
    made: Array = np.full((steps - 1, len(QUANTILES)), np.nan)
    if factors:
        for row, chunks_of in enumerate(zip(*factors, strict=True)):
            values = torch.cat(chunks_of, dim=1).abs().flatten().numpy()
            made[row] = np.quantile(values, QUANTILES)
    return made
