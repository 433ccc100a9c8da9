"""What a reader of the logits has at every timestep, and the scale at which they are honest."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_RANGE = 7.0


def running_means(outputs: Tensor) -> Tensor:
    """c_t = mean_{s <= t} o[s]: what is known of someone who stops after t. outputs [T, ...]."""
    counts = torch.arange(1, len(outputs) + 1, device=outputs.device, dtype=outputs.dtype)
    return outputs.cumsum(dim=0) / counts.reshape(-1, *[1] * (outputs.ndim - 1))


def right_steps(outputs: Tensor, targets: Tensor) -> Tensor:
    """Where o[t] is largest at the target's class: [T, B, 1, *D], bool.

    The class of a soft target [B, C, *D] is its most probable one; of equals, here and in the
    outputs [T, B, C, *D], the first counts.
    """
    soft = targets.ndim == outputs.ndim - 1
    classes = targets.argmax(dim=1) if soft else targets.long()
    return (outputs.argmax(dim=2) == classes).unsqueeze(2)


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature of the least CE(o / temperature, labels), within e^-7 ... e^7 logit spreads.

    One number for all samples, as Guo et al. (2017, arXiv 1706.04599): it leaves every decision
    as it is and takes out how large an objective makes logits. Labels are smoothed by one count
    for each class, to (N + 1) / (N + C) for y and 1 / (N + C) for any other (after Platt 1999),
    without which a set that has no error wants 0. The spread is the standard deviation of the
    logits about each sample's mean; where it is 0, the temperature is 1.
    """
    from scipy.optimize import minimize_scalar  # loading it takes half a second

    samples, classes = logits.shape
    smoothing = classes / (samples + classes)
    spread = float((logits - logits.mean(dim=-1, keepdim=True)).square().mean().sqrt())
    if not (spread > 0 and math.isfinite(spread)):
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = logits / (spread * math.exp(log_temperature))
        return float(F.cross_entropy(scaled, targets, label_smoothing=smoothing))

    bounds = (-_RANGE, _RANGE)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return spread * math.exp(float(found.x))
