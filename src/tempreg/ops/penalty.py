"""The TRT penalty in closed form: value, gradient and curvature without a graph over time.

    R(w) = (lam / T) sum_t sum_i w_i^2 / (1 + c_t (|w_i| + eps)),   c_t = e^(decay t) - 1

With u = |w|, a_t = 1 + c_t eps and r_t = 1 / (a_t + c_t u), for each weight:

    R   = (lam / T) sum_t u^2 r_t
    R'  = (lam / T) w sum_t r_t (1 + a_t r_t)
    R'' = (lam / T) sum_t 2 a_t^2 r_t^3            (> 0: R is strictly convex)

R' equals sign(w) u (2 a_t + c_t u) / (a_t + c_t u)^2 summed over t. Source: arXiv 2506.19256.
The divisions of R and R' are the same, so one pass finds both where a gradient may be asked
for, and keeps R' (one buffer of the parameters' size), which the first backward pass hands out,
scaled in place where the upstream gradient isn't 1; any other one finds it anew.
"""

from __future__ import annotations

import functools
import importlib
import math
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from tempreg.ops.dispatch import resolve_backend
from tempreg.ops.mapping import one_by_one, signed, transformed
from tempreg.ops.penalty_operators import value_and_slope_operator, value_operator
from tempreg.options import ObjectiveOptions
from tempreg.options.field import check_option

LARGEST_EXPONENT = 60.0
"""decay * t is capped here: beyond, a term is under 1e-26 |w| and would only overflow."""


@final
class PenaltyTerms(NamedTuple):
    """The numbers R is made of: a_t and c_t for each timestep, and lam / T."""

    a: tuple[float, ...]
    c: tuple[float, ...]
    scale: float


def penalty_terms(num_steps: int, lam: float, decay: float, eps: float) -> PenaltyTerms:
    """The schedule of T = `num_steps` timesteps; ValueError names what is out of range."""
    if num_steps < 1:
        raise ValueError(f"num_steps must be >= 1, got {num_steps}")
    if not (decay >= 0 and math.isfinite(decay)):
        raise ValueError(
            f"decay must be a finite number >= 0, got {decay!r}: a negative decay makes the "
            "penalty's denominator vanish for some weights"
        )
    check_option(ObjectiveOptions, "lam", lam)
    check_option(ObjectiveOptions, "eps", eps)
    c = tuple(math.expm1(min(decay * t, LARGEST_EXPONENT)) for t in range(num_steps))
    return PenaltyTerms(tuple(1.0 + c_t * eps for c_t in c), c, lam / num_steps)


def penalty(params: list[Tensor], terms: PenaltyTerms) -> Tensor:
    """R over all elements of `params`, a 0-d tensor on the first one's device.

    Differentiable twice with respect to the parameters; half-precision ones count in float32.
    """
    if _go_together(params):
        return _together(params, terms)
    values = [
        _Penalty.apply(w, terms)[0]
        if w.requires_grad and torch.is_grad_enabled()
        else value_operator(w.detach(), terms.a, terms.c) * terms.scale
        for w in params
    ]
    dtype = functools.reduce(torch.promote_types, [v.dtype for v in values])
    return torch.stack([v.to(values[0].device, dtype) for v in values]).sum()


TOGETHER_ON = {"cuda"}
"""Types of devices on which all parameters go through one operator, see `penalty_triton`."""


def _go_together(params: list[Tensor]) -> bool:
    place = params[0].device
    if place.type not in TOGETHER_ON or transformed():
        return False
    return all(w.device == place for w in params) and (
        resolve_backend("auto", place.type) == "compiled"
    )


def _together(params: list[Tensor], terms: PenaltyTerms) -> Tensor:
    importlib.import_module("tempreg.ops.penalty_triton")  # registers its operator
    if torch.is_grad_enabled() and any(w.requires_grad for w in params):
        total: Tensor = _PenaltyOfAll.apply(terms, *params)[0]
        return total
    value: Tensor = torch.ops.tempreg.penalty_of_all([w.detach() for w in params], *terms, False)[0]
    return value


@final
class _PenaltyOfAll(torch.autograd.Function):
    """R of tensors on a GPU, and their slopes for the backward pass, which has one launch."""

    @staticmethod
    def forward(terms: PenaltyTerms, *params: Tensor) -> tuple[Tensor, ...]:
        value, slopes = torch.ops.tempreg.penalty_of_all([*params], *terms, True)
        return value, *slopes

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.terms, *params = inputs
        ctx.slopes = list(output[1:])
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*ctx.slopes)
        ctx.save_for_backward(*params)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:
        params, upstream = ctx.saved_tensors, grad_outputs[0]
        if upstream is None:
            return None, *(None for _ in params)
        slopes, ctx.slopes = ctx.slopes, None
        if slopes is None or transformed() or torch.is_grad_enabled():
            return None, *(_PenaltyGradient.apply(w, upstream, ctx.terms) for w in params)
        slopes = torch._foreach_mul(slopes, upstream)
        return None, *(s.to(w.dtype) for s, w in zip(slopes, params, strict=True))


@final
@signed
class _Penalty(torch.autograd.Function):
    """R of one tensor, and its slope R' for the backward pass."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        return one_by_one(_Penalty, info, in_dims, args)

    @staticmethod
    def forward(w: Tensor, terms: PenaltyTerms) -> tuple[Tensor, Tensor]:
        value, slope = value_and_slope_operator(w, *terms)
        return value * terms.scale, slope

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        w, ctx.terms = inputs
        ctx.slope = output[1]
        ctx.set_materialize_grads(False)  # nobody asks for the gradient by the slope: no zeros
        ctx.mark_non_differentiable(ctx.slope)
        ctx.save_for_backward(w)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, None]:
        (w,), upstream = ctx.saved_tensors, grad_outputs[0]
        if upstream is None:
            return None, None
        slope, ctx.slope = ctx.slope, None
        if slope is None or transformed() or torch.is_grad_enabled():
            return _PenaltyGradient.apply(w, upstream, ctx.terms), None
        # A pass over the slope costs as much as finding it; elsewhere than on a CPU, asking does.
        if torch.compiler.is_compiling() or upstream.device.type != "cpu" or upstream.item() != 1:
            slope.mul_(upstream)
        return slope.to(w.dtype), None


@final
@signed
class _PenaltyGradient(torch.autograd.Function):
    """upstream * R'(w) of one tensor."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        return one_by_one(_PenaltyGradient, info, in_dims, args)

    @staticmethod
    def forward(w: Tensor, upstream: Tensor, terms: PenaltyTerms) -> Tensor:
        _, slope = value_and_slope_operator(w, *terms)
        return (slope * upstream).to(w.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        w, upstream, ctx.terms = inputs
        ctx.save_for_backward(w, upstream)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, Tensor, None]:
        (w, upstream), (tangent,) = ctx.saved_tensors, grad_outputs
        _, slope = value_and_slope_operator(w, *ctx.terms)
        curvature = torch.zeros_like(w)
        for a, c in zip(ctx.terms.a, ctx.terms.c, strict=True):
            below = a + c * w.abs()  # its cube would overflow
            curvature = curvature + 2.0 * (a / below) ** 2 / below
        by_w = tangent * upstream * ctx.terms.scale * curvature
        return by_w, (tangent * slope).sum(), None
