"""Surrogate gradients: what stands in for the derivative of the spike function.

A spike is s = 1 if u > 0 else 0 with u = h - v_threshold, so its true derivative is zero
almost everywhere. Backpropagation uses phi(u) instead:

    triangle   phi(u) = max(0, g - |u|) / g^2                  g > 0: half width
    sigmoid    phi(u) = a * sig(a u) * (1 - sig(a u))          a > 0: steepness
    atan       phi(u) = (a / 2) / (1 + (pi a u / 2)^2)         a > 0: steepness
    rectangle  phi(u) = 1 / w where |u| < w / 2, else 0        w > 0: full width

Each integrates to 1. See Neftci, Mostafa and Zenke (2019) for the idea, Deng et al. (2022)
for the triangle, Fang et al. (2021) for atan and Wu et al. (2018) for the rectangle.

Shapes: every function works element by element on a tensor of any shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast, final

import torch
from torch import Tensor


def triangle(u: Tensor, half_width: float) -> Tensor:
    """max(0, g - |u|) / g^2."""
    return (half_width - u.abs()).clamp(min=0.0) / (half_width * half_width)


def sigmoid(u: Tensor, steepness: float) -> Tensor:
    """a * sig(a u) * (1 - sig(a u)), written so that large |u| loses no digits."""
    scaled = steepness * u
    return steepness * torch.sigmoid(scaled) * torch.sigmoid(-scaled)


def atan(u: Tensor, steepness: float) -> Tensor:
    """(a / 2) / (1 + (pi a u / 2)^2)."""
    scaled = (math.pi / 2.0 * steepness) * u
    return (steepness / 2.0) / (1.0 + scaled * scaled)


def rectangle(u: Tensor, width: float) -> Tensor:
    """1 / w where |u| < w / 2, else 0; NaN stays NaN."""
    inside = (u.abs() < width / 2.0).to(u.dtype) / width
    return torch.where(u.isnan(), u, inside)


DERIVATIVES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "triangle": triangle,
    "sigmoid": sigmoid,
    "atan": atan,
    "rectangle": rectangle,
}
"""The surrogate derivatives by name. The order is the number that compiled kernels use."""

SURROGATE_CODES = {name: code for code, name in enumerate(DERIVATIVES)}


def heaviside(h: Tensor, v_threshold: float) -> Tensor:
    """Spikes of a membrane potential: 1 where h > v_threshold, else 0; NaN stays NaN.

    A NaN that became a silent 0 would hide a broken network behind finite logits. Written
    without a comparison, because clamp and ceil keep NaN; h - v_threshold is 0 only where they
    are equal.
    """
    return (h - v_threshold).clamp(0.0, 1.0).ceil()


class Spike(torch.autograd.Function):
    """`heaviside` forward, the surrogate derivative backward; any order, vmap-able."""

    generate_vmap_rule = True

    @staticmethod
    def forward(h: Tensor, v_threshold: float, surrogate: str, param: float) -> Tensor:
        return heaviside(h, v_threshold)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        h, ctx.v_threshold, ctx.surrogate, ctx.param = inputs
        ctx.save_for_backward(h)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, None, None, None]:
        (grad,) = grad_outputs
        (h,) = ctx.saved_tensors
        phi = DERIVATIVES[ctx.surrogate](h - ctx.v_threshold, ctx.param)
        return grad * phi, None, None, None


@final
class BothModesSpike(Spike):
    """`Spike` with the surrogate derivative in forward mode, too.

    A class of its own, because torch.compile takes no function that has a forward mode.
    """

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        Spike.setup_context(ctx, inputs, output)
        ctx.save_for_forward(inputs[0])

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (h,) = ctx.saved_tensors
        phi = DERIVATIVES[ctx.surrogate](h - ctx.v_threshold, ctx.param)
        return cast(Tensor, tangents[0] * phi)
