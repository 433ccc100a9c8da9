"""How much of an objective's gradient reaches each timestep, while a network learns.

||dL/dh[t]|| by neuron layer, of the objective that a network was trained with, at several epochs.
The ratio of the first timestep to the last is what the claim of vanishing temporal gradients is
about. It holds two things that `temporal_gradients` tells apart: what a timestep's own loss gives
it, and what reaches it from later losses, the decay. Only the second depends on tau and the
surrogate alone (docs/theory.md, 8 to 10).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tempreg.analysis.capture import (
    check_data,
    chunks,
    evaluating,
    find_neurons,
    logits_of,
    over_time,
    recording,
)
from tempreg.analysis.gradient_sums import Loss, loss_of, repeated
from tempreg.analysis.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class OwnGradients(Result):
    """By epoch, neuron layer and timestep.

    Attributes:
        epochs: after which the network was looked at.
        norms: ||dL/dh[t]||, over all samples and neurons of the layer; see `temporal_gradients`.
        first_last: norms[..., 0] / norms[..., -1], the geometric mean over layers in which both
            are above 0; NaN without one.
    """

    quantity: ClassVar[str] = "gradients_own"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {
        "epochs": ("epoch",),
        "norms": ("epoch", "layer", "timestep"),
        "first_last": ("epoch",),
    }
    units: ClassVar[dict[str, str]] = {
        "norms": "loss / membrane potential",
        "first_last": "gradient at the first timestep / at the last",
    }
    layers: list[str]
    epochs: Array
    norms: Array
    first_last: Array

    def table(self) -> str:
        """The ratio of the first timestep to the last, by epoch."""
        rows = [f"{e:>5.0f}  {r:12.4g}" for e, r in zip(self.epochs, self.first_last, strict=True)]
        return "\n".join(["epoch  first / last", *rows])

    def figure(self) -> Figure:
        """Norms by timestep at the last epoch, and the ratio by epoch."""
        from tempreg.analysis.figures.time import own_gradients_figure

        return own_gradients_figure(self)


def own_gradients(
    networks: Mapping[int, nn.Module],
    inputs: Tensor,
    targets: Tensor,
    objective: Loss,
    *,
    begin: Callable[[int], object] = lambda epoch: None,
    chunk: int = 32,
) -> OwnGradients:
    """||dL/dh[t]|| of one objective in a network at several epochs, in eval mode.

    Args:
        networks: by epoch; each inputs -> logits [T, B, classes], with the same layers.
        inputs, targets: see `tempreg.analysis.capture`.
        objective: of (outputs, targets); what it has of the weights alone is no part of L.
        begin: told of each epoch before its network is looked at, for objectives that change.
        chunk: samples at once, >= 1: bounds memory to the graph of so many samples.

    Raises:
        ValueError: no network, data that aren't fixed tensors, or a network that doesn't return
            [T, B, C] or has no neurons.
    """
    check_data(inputs, targets, numbers=True)
    if not networks:
        raise ValueError("own_gradients needs a network, at one epoch at least")
    epochs = sorted(networks)
    by_epoch = []
    for epoch in epochs:
        begin(epoch)
        with evaluating(networks[epoch]):
            by_epoch.append(_norms(networks[epoch], inputs, targets, objective, chunk))
    norms = np.stack([np.stack([*made.values()]) for made in by_epoch])
    return OwnGradients(
        layers=list(by_epoch[0]),
        epochs=np.array(epochs, dtype=np.float64),
        norms=norms,
        first_last=first_last(norms),
        settings={"samples": len(targets), "T": norms.shape[-1], "mode": "eval"},
    )


def first_last(norms: Array) -> Array:
    """The geometric mean over layers of norms[..., 0] / norms[..., -1]; see `OwnGradients`."""
    first, last = norms[..., 0], norms[..., -1]
    there = (first > 0) & (last > 0)
    ratios = np.where(there, first, 1.0) / np.where(there, last, 1.0)
    counts = there.sum(axis=-1)
    means: Array = np.exp(np.log(ratios).sum(axis=-1) / np.maximum(counts, 1))
    return np.where(counts > 0, means, np.nan)


def _norms(
    model: nn.Module, inputs: Tensor, targets: Tensor, objective: Loss, chunk: int
) -> dict[str, Array]:
    """[T] by neuron layer. The objective sees all samples at once, the network a chunk."""
    neurons = find_neurons(model)
    with torch.no_grad():
        parts = [logits_of(model, x, y) for x, y in chunks(inputs, targets, chunk)]
    leaf = torch.cat(parts, dim=1).requires_grad_()
    with torch.enable_grad():
        loss = loss_of(objective, model, inputs, leaf, targets)
        (seeds,) = torch.autograd.grad(loss, leaf, allow_unused=True)
    if seeds is None:
        raise ValueError("the objective doesn't depend on the outputs")
    steps = len(leaf)
    squares = {name: torch.zeros(steps, dtype=torch.float64) for name in neurons}
    pieces = chunks(repeated(model, inputs, steps), targets, chunk)
    for (x, y), seed in zip(pieces, seeds.split(chunk, dim=1), strict=True):
        with torch.enable_grad(), recording(model, neurons, split_input=True) as fired:
            logits = logits_of(model, x)
        currents = [call.args[0] for calls in fired.values() for call in calls]
        made = iter(torch.autograd.grad(logits, currents, seed, allow_unused=True))
        for name, calls in fired.items():
            grads = [(call.args[0], next(made)) for call in calls]
            own = [torch.zeros_like(x) if g is None else g for x, g in grads]
            if own:
                by_time = over_time(name, own, steps, len(y)).flatten(1)
                squares[name] += by_time.double().square().sum(dim=1).cpu()
    return {name: square.sqrt().numpy() for name, square in squares.items()}
