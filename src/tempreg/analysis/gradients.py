"""Temporal gradients: what backpropagation through time brings to each timestep.

L is the loss of the whole batch as a function of the logits, o[t]; h[t] a neuron layer's
membrane potential before it fires. The input current x[t] enters only as h[t] = v[t-1]/tau +
x[t], so dL/dh[t] = dL/dx[t], which is what is computed here.

Measured in eval mode: in training mode batch norm mixes all timesteps and samples. A penalty of
weights is no part of L here, for it reaches no timestep; its gradient is given beside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tempreg.analysis.capture import (
    Call,
    IsNeuron,
    check_data,
    chunks,
    evaluating,
    find_neurons,
    logits_of,
    over_time,
    recording,
)
from tempreg.analysis.factors import products, temporal_factors
from tempreg.analysis.per_sample import weight_layers
from tempreg.analysis.result import Result
from tempreg.analysis.weight_shares import parts_by_step, shares
from tempreg.foreign import library_of
from tempreg.neurons import Neuron
from tempreg.unwrap import unwrap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs [T, B, C], targets [B]) -> scalar: any `tempreg.Objective`, or a function."""
Array = NDArray[np.float64]
QUANTILES = (0.05, 0.5, 0.95, 1.0)
NEURONS = 20_000
"""Pairs of sample and neuron, evenly spaced, that the factors' quantiles are taken over."""


@dataclass(frozen=True, kw_only=True)
class TemporalGradients(Result):
    """By neuron layer and timestep; see each field. Final.

    Attributes:
        norms: ||dL/dh[t]||, over the batch and all neurons of the layer. For neurons of another
            library, which the setting "not tempreg's" lists, it is ||dL/dx[t]||, the gradient by
            their input: what x is multiplied with on its way into h is not known here. The same
            holds for `matrix`.
        matrix: G[t', t] = T ||(do[t']/dh[t])^T dL/do[t']||, which for a loss that is a mean over
            steps is ||dl[t']/dh[t]|| of the loss l[t'] of step t'; zero for t > t'.
        decay: the factor a timestep that fits the matrix best: log G[t', t] = a[t'] + (t' - t)
            log decay, least squares over its positive entries with t <= t'; NaN where it has none
            with two different t.
        factors: quantiles over neurons of |products of dh[t+1]/dh[t]| by lag 1 ... T - 1; NaN for
            layers that are no `tempreg.Neuron`.
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
        from tempreg.analysis.figures import gradients_figure

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
    check_data(inputs, targets)
    neurons, layers = find_neurons(model, is_neuron), _split_layers(model)
    with evaluating(model):
        whole = _Sums(model, neurons, layers, inputs, targets, objective, chunk)
    return whole.result()


def weight_gradients_by_step(
    model: nn.Module, inputs: Tensor, targets: Tensor, objective: Loss, *, chunk: int = 32
) -> dict[str, Tensor]:
    """[T, *shape] by parameter name, float64: sums over T to dL/dw (without a penalty of w).

    See `temporal_gradients`.
    """
    check_data(inputs, targets)
    with evaluating(model):
        return _Sums(model, {}, _split_layers(model), inputs, targets, objective, chunk).parts


def _split_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers whose weight gradients can be split by time: all but neurons with learnable
    constants, whose output at one timestep depends on their inputs at those before."""
    layers = weight_layers(model).items()
    return {n: m for n, m in layers if not (isinstance(m, Neuron) or library_of(m))}


class _Sums:
    """Squares and parts added up over chunks. Final."""

    def __init__(
        self, model: nn.Module, neurons: dict[str, nn.Module], layers: dict[str, nn.Module],
        inputs: Tensor, targets: Tensor, objective: Loss, chunk: int,
    ) -> None:  # fmt: skip
        self.neurons, self.layers = neurons, layers
        self.parameters = dict(unwrap(model).named_parameters())
        with torch.no_grad():
            logits = [logits_of(model, x, y) for x, y in chunks(inputs, targets, chunk)]
        leaf = torch.cat(logits, dim=1).requires_grad_()
        self.steps, self.samples = leaf.shape[:2]
        inputs = repeated(model, inputs, self.steps)
        with torch.enable_grad():
            loss = objective(leaf, targets)
        direct = [p for p in self.parameters.values() if p.requires_grad]
        of_logits, *others = torch.autograd.grad(loss, [leaf, *direct], allow_unused=True)
        if of_logits is None:
            raise ValueError("the objective doesn't depend on the outputs")
        names = [n for n, p in self.parameters.items() if p.requires_grad]
        self.penalty = dict(zip(names, others, strict=True))
        self.squares: dict[str, Tensor] = {
            name: torch.zeros(self.steps + 1, self.steps, dtype=torch.float64) for name in neurons
        }
        self.factors: dict[str, list[Tensor]] = {name: [] for name in neurons}
        self.parts: dict[str, Tensor] = {}
        size = min(chunk, self.samples)
        for (x, _), seed in zip(
            chunks(inputs, targets, size), of_logits.split(size, dim=1), strict=True
        ):
            self._chunk(model, x, seed)

    def _chunk(self, model: nn.Module, x: Tensor, seed: Tensor) -> None:
        """Add one chunk, whose logits have the gradient `seed` [T, B, C]."""
        batch = seed.shape[1]
        with torch.enable_grad(), recording(model, self.layers) as made, recording(
            model, self.neurons, split_input=True
        ) as fired:  # fmt: skip
            logits = logits_of(model, x)
        currents = [call.args[0] for calls in fired.values() for call in calls]
        outputs = [call.output for calls in made.values() for call in calls]
        weights = [p for p in self.parameters.values() if p.requires_grad]
        every = torch.autograd.grad(
            logits, [*currents, *outputs, *weights], seed, retain_graph=True, allow_unused=True
        )
        self._add_squares(fired, every[: len(currents)], batch, row=0)
        for t in range(self.steps if self.neurons else 0):
            only = torch.zeros_like(seed)
            only[t] = seed[t] * self.steps
            grads = torch.autograd.grad(
                logits, currents, only, retain_graph=t + 1 < self.steps, allow_unused=True
            )
            self._add_squares(fired, grads, batch, row=t + 1)
        self._add_factors(fired, batch)
        left = iter(every[len(currents) :])
        expected = dict(zip(self.penalty, every[len(currents) + len(outputs) :], strict=True))
        for name, module in self.layers.items():
            own = [next(left) for _ in made[name]]
            parts = parts_by_step(name, module, made[name], own, self.steps, batch)
            for key, value in parts.items():
                full = f"{name}.{key}" if f"{name}.{key}" in self.parameters else key
                _check_sum(full, value.sum(dim=0), expected[full])
                self.parts[full] = self.parts.get(full, 0) + value

    def _add_squares(
        self, fired: dict[str, list[Call]], grads: tuple[Tensor | None, ...], batch: int, row: int
    ) -> None:
        left = iter(grads)
        for name, calls in fired.items():
            own = [next(left) for _ in calls]
            filled = [torch.zeros_like(c.args[0]) if g is None else g
                      for c, g in zip(calls, own, strict=True)]  # fmt: skip
            if filled:
                by_time = over_time(name, filled, self.steps, batch)
                self.squares[name][row] += by_time.flatten(1).double().square().sum(dim=1).cpu()

    def _add_factors(self, fired: dict[str, list[Call]], batch: int) -> None:
        for name, calls in fired.items():
            neuron = self.neurons[name]
            if isinstance(neuron, Neuron) and calls and self.steps > 1:
                x = over_time(name, [c.args[0].detach() for c in calls], self.steps, batch)
                flat = x.flatten(1)
                most = max(1, NEURONS * batch // self.samples)
                flat = flat[:, :: max(1, flat.shape[1] // most)]
                self.factors[name].append(temporal_factors(neuron, flat).double().cpu())

    def result(self) -> TemporalGradients:
        """Roots, fits, quantiles and shares."""
        norms = {name: square.sqrt() for name, square in self.squares.items()}
        matrix = np.stack([norm[1:].numpy() for norm in norms.values()])
        weights = [n for n in self.parts if self.parameters[n].ndim >= 2]
        split = [shares(self.parts[name]) for name in weights]
        penalties = [self.penalty.get(name) for name in weights]
        return TemporalGradients(
            layers=list(norms),
            weights=weights,
            norms=np.stack([norm[0].numpy() for norm in norms.values()]),
            matrix=matrix,
            decay=np.array([fitted_decay(layer) for layer in matrix]),
            factors=np.stack([self._quantiles(name) for name in norms]),
            weight_shares=np.stack([share.cpu().numpy() for share, _ in split]),
            weight_norms=np.stack([norm.cpu().numpy() for _, norm in split]),
            penalty_norms=np.array([0.0 if p is None else float(p.norm()) for p in penalties]),
            settings={
                "samples": self.samples,
                "T": self.steps,
                "quantiles": list(QUANTILES),
                "mode": "eval",
                "not tempreg's": [n for n, m in self.neurons.items() if not isinstance(m, Neuron)],
            },
        )

    def _quantiles(self, name: str) -> Array:
        """[lag, quantile] of |products of factors|."""
        made: Array = np.full((self.steps - 1, len(QUANTILES)), np.nan)
        if self.factors[name]:
            factors = torch.cat(self.factors[name], dim=1)
            for lag in range(1, self.steps):
                values = products(factors, lag).abs().flatten().numpy()
                made[lag - 1] = np.quantile(values, QUANTILES)
        return made


def repeated(model: nn.Module, inputs: Tensor, steps: int) -> Tensor:
    """A static input of a tempreg network as [T, B, C, H, W]; all others as they are."""
    from tempreg.models import SpikingNetwork

    if isinstance(unwrap(model), SpikingNetwork) and inputs.ndim == 4:
        return inputs.expand(steps, *inputs.shape)
    return inputs


def _check_sum(name: str, parts: Tensor, whole: Tensor | None) -> None:
    """ValueError where a weight acts on the loss in a way that its layer's calls don't show."""
    whole = torch.zeros_like(parts) if whole is None else whole.double()
    gap = float((parts - whole).norm()) / (float(whole.norm()) or 1.0)
    if gap > 1e-3:  # False for NaN, which says that the layer has no timesteps
        raise ValueError(
            f"the gradient of {name!r} is not the sum over its layer's calls: the weight is used "
            "elsewhere too, so its timesteps can't be told apart"
        )


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
