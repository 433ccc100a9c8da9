"""Adaptive sharpness: how far the loss rises within a box that is as wide as each weight.

    S(rho) = max over |e_i| <= rho |w_i| of L(w + e) - L(w)

the element-wise adaptive worst case in the maximum norm (Kwon et al. 2021, arXiv 2102.11600;
Andriushchenko et al. 2023, arXiv 2302.07011): rescaling weights without changing the network
does not change it. L is the cross-entropy of mean_t o[t] at a fixed temperature. Both searches
give true losses, by forward passes, of points they found: lower bounds of the maximum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.analysis.capture import chunks
from tempreg.analysis.scores import score
from tempreg.analysis.weights import Weights, gaussian, mean_logits_at
from tempreg.unwrap import unwrap


@final
class Landscape(NamedTuple):
    """What a search looks at: the network in eval mode, its weights, data and temperature."""

    model: nn.Module
    weights: Weights
    inputs: Tensor
    targets: Tensor
    temperature: float
    chunk: int

    def scaled_loss(self, offset: Mapping[str, Tensor]) -> float:
        """L at w + offset."""
        at = {name: w + offset[name] for name, w in self.weights.items()}
        logits = mean_logits_at(self.model, at, self.inputs, self.targets, self.chunk)
        return score(logits, self.targets, self.temperature).scaled_loss


def random_rise(landscape: Landscape, rho: float, draws: int, seed: int) -> float:
    """The largest rise at `draws` random corners of the box; 0 where none rises. Forward only."""
    start = landscape.scaled_loss({n: torch.zeros_like(w) for n, w in landscape.weights.items()})
    rises = [0.0]
    for draw in range(draws):
        signs = gaussian(landscape.weights, seed, "sharpness", draw)
        corner = {n: rho * w.abs() * signs[n].sign() for n, w in landscape.weights.items()}
        rises.append(landscape.scaled_loss(corner) - start)
    return max(rises)


def ascent_rise(landscape: Landscape, rho: float, steps: int) -> float:
    """The largest rise on a climb along the sign of the surrogate gradient; 0 where none rises.

    Each step is rho |w_i| / 2 along the sign, then back into the box. The surrogate gradient
    only says where to look: the loss there is the network's own.
    """
    offset = {n: torch.zeros_like(w) for n, w in landscape.weights.items()}
    start = landscape.scaled_loss(offset)
    rises = [0.0]
    for _ in range(steps):
        for name, gradient in _gradient(landscape, offset).items():
            bound = rho * landscape.weights[name].abs()
            ahead = offset[name] + bound / 2 * gradient.sign()
            offset[name] = torch.minimum(torch.maximum(ahead, -bound), bound)
        rises.append(landscape.scaled_loss(offset) - start)
    return max(rises)


def _gradient(landscape: Landscape, offset: Mapping[str, Tensor]) -> Weights:
    """The surrogate gradient of the scaled loss by weight, summed over chunks."""
    network = unwrap(landscape.model)
    at = {n: (w + offset[n]).requires_grad_() for n, w in landscape.weights.items()}
    total = {n: torch.zeros_like(w) for n, w in landscape.weights.items()}
    for x, y in chunks(landscape.inputs, landscape.targets, landscape.chunk):
        with torch.enable_grad():
            logits = torch.func.functional_call(network, at, (x,)).mean(dim=0)
            loss = F.cross_entropy(logits / landscape.temperature, y, reduction="sum")
        gradients = torch.autograd.grad(loss, list(at.values()), allow_unused=True)
        for name, g in zip(at, gradients, strict=True):
            total[name] += 0 if g is None else g
    return total
