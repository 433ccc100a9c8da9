"""A network at other weights than its own, and the directions in which they are moved.

The network itself is never written to: it is called with other tensors in the place of its
weights. Moved are the parameters with two or more dimensions that aren't a neuron's own;
biases and batch norm's gains stay, as in Li et al. (2018, arXiv 1712.09913), unless the gains are
asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tempreg.analysis.capture import chunks
from tempreg.foreign import constant_parameters
from tempreg.models.norms import TemporalAccumulatedNorm
from tempreg.training.streams import stream
from tempreg.unwrap import unwrap

Weights = dict[str, Tensor]


def moved_weights(model: nn.Module, *, gains: bool = False) -> Weights:
    """The parameters that are moved, by name, detached; ValueError where there are none.

    With `gains` also the factors that batch norm has for its channels (`weight`, not `bias`).
    """
    network = unwrap(model)
    own = constant_parameters(network)
    norms = [m for m in network.modules() if gains]
    factors = {id(norm.weight) for norm in norms if isinstance(norm, _BatchNorm)}
    factors |= {id(norm.gain) for norm in norms if isinstance(norm, TemporalAccumulatedNorm)}
    found = {
        name: p.detach()
        for name, p in network.named_parameters()
        if (p.ndim >= 2 or id(p) in factors) and id(p) not in own and p.is_floating_point()
    }
    if not found:
        raise ValueError(
            f"{type(network).__name__} has no parameter with two or more dimensions: there are "
            "no weights to move"
        )
    return found


def gaussian(weights: Mapping[str, Tensor], seed: int, purpose: str, *place: int) -> Weights:
    """Standard normal numbers in the shapes of the weights.

    Each parameter has a stream of its own, by its name, so that networks of one architecture
    get the same numbers whatever their dtype and device.
    """
    return {
        name: torch.randn(w.shape, generator=stream(seed, f"{purpose}:{name}", *place)).to(w)
        for name, w in weights.items()
    }


def filter_normalised(direction: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Weights:
    """d <- d / ||d|| * ||w|| for each filter, a row of the first dimension (Li et al. 2018).

    The gains of a batch norm are one filter: each on its own would only change its sign.
    """

    def norms(x: Tensor) -> Tensor:
        sizes: Tensor = x.norm() if x.ndim == 1 else x.flatten(1).norm(dim=1)
        return sizes.view(-1, *[1] * (x.ndim - 1))

    return {name: d / norms(d) * norms(weights[name]) for name, d in direction.items()}


def mean_logits_at(
    model: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor, targets: Tensor, chunk: int
) -> Tensor:
    """mean_t o[t] of the network with these weights, float64 [N, C], `chunk` samples at once."""
    network = unwrap(model)
    with torch.no_grad():
        parts = [
            torch.func.functional_call(network, dict(weights), (x,)).mean(dim=0).double()
            for x, _ in chunks(inputs, targets, chunk)
        ]
    return torch.cat(parts)
