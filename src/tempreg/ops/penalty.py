"""The TRT penalty in closed form: value, gradient and curvature without a graph over time.

    R(w) = (lam / T) sum_t sum_i w_i^2 / (1 + c_t (|w_i| + eps)),   c_t = e^(decay t) - 1

With u = |w|, a_t = 1 + c_t eps and r_t = 1 / (a_t + c_t u), for each weight:

    R   = (lam / T) sum_t u^2 r_t
    R'  = (lam / T) w sum_t r_t (1 + a_t r_t)
    R'' = (lam / T) sum_t 2 a_t^2 r_t^3            (> 0: R is strictly convex)

R' equals sign(w) u (2 a_t + c_t u) / (a_t + c_t u)^2 summed over t. Source: arXiv 2506.19256.
Between forward and backward nothing is kept but references to the parameters themselves. On
a CPU with a C compiler the passes run in kernels/penalty.c, else in torch, a tensor at a time.
"""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tempreg.ops import cbuild
from tempreg.ops.dispatch import resolve_backend, state_dtype

LARGEST_EXPONENT = 60.0
"""decay * t is capped here: beyond, a term is under 1e-26 |w| and would only overflow."""
_CHUNK = 8192
_PARALLEL_FROM = 65_536
_SUFFIX = {torch.float32: "float", torch.float64: "double"}


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
    for name, value in (("lam", lam), ("eps", eps)):
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number >= 0, got {value!r}")
    c = tuple(math.expm1(min(decay * t, LARGEST_EXPONENT)) for t in range(num_steps))
    return PenaltyTerms(tuple(1.0 + c_t * eps for c_t in c), c, lam / num_steps)


def penalty(params: list[Tensor], terms: PenaltyTerms) -> Tensor:
    """R over all elements of `params`, a 0-d tensor on the first one's device.

    Differentiable twice with respect to the parameters; half-precision ones count in float32.
    """
    values = [_Penalty.apply(w, terms) for w in params]
    dtype = functools.reduce(torch.promote_types, [v.dtype for v in values])
    return torch.stack([v.to(values[0].device, dtype) for v in values]).sum()


class _Penalty(torch.autograd.Function):
    """R of one tensor. Final."""

    @staticmethod
    def forward(w: Tensor, terms: PenaltyTerms) -> Tensor:
        return torch.ops.tempreg.penalty_value(w, terms.a, terms.c) * terms.scale

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        w, ctx.terms = inputs
        ctx.save_for_backward(w)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, None]:
        return _PenaltyGradient.apply(ctx.saved_tensors[0], grad_outputs[0], ctx.terms), None


class _PenaltyGradient(torch.autograd.Function):
    """upstream * R'(w) of one tensor. Final."""

    @staticmethod
    def forward(w: Tensor, upstream: Tensor, terms: PenaltyTerms) -> Tensor:
        return torch.ops.tempreg.penalty_gradient(w, upstream * terms.scale, terms.a, terms.c)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        w, upstream, ctx.terms = inputs
        ctx.save_for_backward(w, upstream)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, Tensor, None]:
        (w, upstream), (tangent,) = ctx.saved_tensors, grad_outputs
        slope, curvature = torch.zeros_like(w), torch.zeros_like(w)
        for a, c in zip(ctx.terms.a, ctx.terms.c, strict=True):
            r = 1.0 / (a + c * w.abs())
            slope = slope + w * r * (1.0 + a * r)
            curvature = curvature + 2.0 * a * a * r**3
        by_w = tangent * upstream * ctx.terms.scale * curvature
        return by_w, (tangent * slope).sum() * ctx.terms.scale, None


_library = torch.library.Library("tempreg", "FRAGMENT")
_library.define("penalty_value(Tensor w, float[] a, float[] c) -> Tensor")
_library.define("penalty_gradient(Tensor w, Tensor scale, float[] a, float[] c) -> Tensor")


def _value(w: Tensor, a: list[float], c: list[float]) -> Tensor:
    """sum u^2 sum_t r_t, in torch."""
    w = w.to(state_dtype(w.dtype))
    u = w.abs()
    total = torch.zeros_like(u)
    for a_t, c_t in zip(a, c, strict=True):
        total += (u * c_t).add_(a_t).reciprocal_()
    return total.mul_(u).mul_(u).sum()


def _gradient(w: Tensor, scale: Tensor, a: list[float], c: list[float]) -> Tensor:
    """scale * w sum_t r_t (1 + a_t r_t), in torch."""
    dtype, w = w.dtype, w.to(state_dtype(w.dtype))
    u = w.abs()
    total = torch.zeros_like(u)
    for a_t, c_t in zip(a, c, strict=True):
        r = (u * c_t).add_(a_t).reciprocal_()
        total.add_(r).addcmul_(r, r, value=a_t)
    return total.mul_(w).mul_(scale).to(dtype)


@functools.cache
def _kernel(name: str, dtype: torch.dtype) -> "ctypes._NamedFuncPointer":
    function = cbuild.load("penalty")[f"penalty_{name}_{_SUFFIX[dtype]}"]
    pointer, long = ctypes.c_void_p, ctypes.c_int64
    last = [pointer] if name == "value" else [ctypes.c_double, pointer]
    function.argtypes = [pointer, long, pointer, pointer, long, *last, ctypes.c_int]
    function.restype = None
    return function


def _kernel_applies(w: Tensor) -> bool:
    """Whether the C kernel takes this tensor; the rest goes through torch, with equal results."""
    return (
        w.dtype in _SUFFIX
        and w.is_contiguous()
        and resolve_backend("auto", "cpu") == "compiled"
    )


def _doubles(values: list[float]) -> "ctypes.Array[ctypes.c_double]":
    return (ctypes.c_double * len(values))(*values)


def _value_cpu(w: Tensor, a: list[float], c: list[float]) -> Tensor:
    if not _kernel_applies(w):
        return _value(w, a, c)
    partial = torch.zeros(-(-w.numel() // _CHUNK), dtype=torch.float64)
    threads = torch.get_num_threads() if w.numel() >= _PARALLEL_FROM else 1
    _kernel("value", w.dtype)(
        w.data_ptr(), w.numel(), _doubles(a), _doubles(c), len(a), partial.data_ptr(), threads
    )
    return partial.sum().to(w.dtype)


def _gradient_cpu(w: Tensor, scale: Tensor, a: list[float], c: list[float]) -> Tensor:
    if not _kernel_applies(w):
        return _gradient(w, scale, a, c)
    out = torch.empty_like(w)
    threads = torch.get_num_threads() if w.numel() >= _PARALLEL_FROM else 1
    _kernel("gradient", w.dtype)(
        w.data_ptr(), w.numel(), _doubles(a), _doubles(c), len(a), scale.item(), out.data_ptr(),
        threads,
    )  # fmt: skip
    return out


_library.impl("penalty_value", _value, "CompositeExplicitAutograd")
_library.impl("penalty_gradient", _gradient, "CompositeExplicitAutograd")
_library.impl("penalty_value", _value_cpu, "CPU")
_library.impl("penalty_gradient", _gradient_cpu, "CPU")


@torch.library.register_fake("tempreg::penalty_value")
def _value_shape(w: Tensor, a: list[float], c: list[float]) -> Tensor:
    return w.new_empty((), dtype=state_dtype(w.dtype))


@torch.library.register_fake("tempreg::penalty_gradient")
def _gradient_shape(w: Tensor, scale: Tensor, a: list[float], c: list[float]) -> Tensor:
    return torch.empty_like(w)
