"""The TRT loss written as in the paper's equations: loops over t and parameters, autograd.

It is what the closed form is compared with, in result and in time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAM, DECAY, EPS, ETA = 1e-5, 0.5, 1e-5, 0.05


def penalty_loop(params: Iterable[Tensor], steps: int) -> Tensor:
    """R (arXiv 2506.19256), a 0-d tensor, with a graph over every t and parameter."""
    tensors = list(params)
    total = torch.zeros(())
    for t in range(steps):
        c = math.exp(DECAY * t) - 1
        for w in tensors:
            total = total + (w**2 / (1 + c * (w.abs() + EPS))).sum()
    return LAM / steps * total


def published_loss(model: nn.Module, outputs: Tensor, targets: Tensor) -> Tensor:
    """The whole objective of outputs [T, B, C] and class indices [B], step by step."""
    steps = len(outputs)
    wanted = F.one_hot(targets, outputs.shape[2]).to(outputs.dtype)
    total = torch.zeros(())
    for t in range(steps):
        cross_entropy = F.cross_entropy(outputs[t], targets)
        total = total + (1 - ETA) * cross_entropy + ETA * F.mse_loss(outputs[t], wanted)
    weights = [p for name, p in model.named_parameters() if "bias" not in name]
    return total / steps + penalty_loop(weights, steps)
