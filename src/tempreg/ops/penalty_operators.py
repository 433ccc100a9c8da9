"""The penalty's pass over a tensor, as torch.library operators.

    penalty_value(w, a, c)             sum_i u_i^2 sum_t r_it
    penalty_value_and_slope(w, a, c, scale)
                                       the same, and scale w_i sum_t r_it (1 + a_t r_it)

with u = |w| and r_it = 1 / (a_t + c_t u_i); see `penalty` for what they mean. On a CPU with a
C compiler they run in kernels/penalty.c, else in torch, with the same result to rounding.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from tempreg.ops import cbuild
from tempreg.ops.ckernel import ELEMENTS, kernel, threads_for
from tempreg.ops.dispatch import state_dtype

_library = torch.library.Library("tempreg", "FRAGMENT")
_library.define("penalty_value(Tensor w, float[] a, float[] c) -> Tensor")
_library.define(
    "penalty_value_and_slope(Tensor w, float[] a, float[] c, float scale) -> (Tensor, Tensor)"
)


def _value(w: Tensor, a: list[float], c: list[float]) -> Tensor:
    """sum u^2 sum_t r_t, in torch."""
    w = w.to(state_dtype(w.dtype))
    u = w.abs()
    total = torch.zeros_like(u)
    for a_t, c_t in zip(a, c, strict=True):
        total += (u * c_t).add_(a_t).reciprocal_()
    return total.mul_(u).mul_(u).sum()


def _value_and_slope(
    w: Tensor, a: list[float], c: list[float], scale: float
) -> tuple[Tensor, Tensor]:
    """Both, in torch; the slope is in the dtype of the value."""
    w = w.to(state_dtype(w.dtype))
    u = w.abs()
    total, slope = torch.zeros_like(u), torch.zeros_like(u)
    for a_t, c_t in zip(a, c, strict=True):
        r = (u * c_t).add_(a_t).reciprocal_()
        total.add_(r)
        slope.add_(r).addcmul_(r, r, value=a_t)
    return total.mul_(u).mul_(u).sum(), slope.mul_(w).mul_(scale)


def _kernel_applies(w: Tensor) -> bool:
    """Whether the C kernel takes this tensor; the rest goes through torch, with equal results."""
    return w.dtype in ELEMENTS and _is_dense(w) and cbuild.loads("penalty")


def _is_dense(w: Tensor) -> bool:
    """Whether the elements fill a block of memory: their order in it doesn't matter."""
    channels_last = w.ndim == 4 and w.is_contiguous(memory_format=torch.channels_last)
    return channels_last or w.is_contiguous()


def _doubles(values: list[float]) -> ctypes.Array[ctypes.c_double]:
    return (ctypes.c_double * len(values))(*values)


def _run(
    w: Tensor, a: list[float], c: list[float], out: Tensor | None = None, scale: float = 1.0
) -> Tensor:
    """The value by the kernel, with the slope times `scale` in `out` if there is one."""
    partial = torch.zeros(-(-w.numel() // cbuild.DEFINED["CHUNK"]), dtype=torch.float64)
    threads, steps = threads_for(w.numel()), len(a)
    pass_over = kernel("penalty", "penalty", w.dtype)
    pass_over(w, w.numel(), _doubles(a), _doubles(c), steps, partial, out, scale, threads)
    return partial.sum().to(w.dtype)


def _value_cpu(w: Tensor, a: list[float], c: list[float]) -> Tensor:
    return _run(w, a, c) if _kernel_applies(w) else _value(w, a, c)


def _value_and_slope_cpu(
    w: Tensor, a: list[float], c: list[float], scale: float
) -> tuple[Tensor, Tensor]:
    if not _kernel_applies(w):
        return _value_and_slope(w, a, c, scale)
    slope = torch.empty_like(w)
    return _run(w, a, c, slope, scale), slope


_library.impl("penalty_value", _value, "CompositeExplicitAutograd")
_library.impl("penalty_value_and_slope", _value_and_slope, "CompositeExplicitAutograd")
_library.impl("penalty_value", _value_cpu, "CPU")
_library.impl("penalty_value_and_slope", _value_and_slope_cpu, "CPU")


def _value_shape(w: Tensor, a: list[float], c: list[float]) -> Tensor:
    return w.new_empty((), dtype=state_dtype(w.dtype))


def _both_shapes(w: Tensor, a: list[float], c: list[float], scale: float) -> tuple[Tensor, Tensor]:
    return _value_shape(w, a, c), torch.empty_like(w, dtype=state_dtype(w.dtype))


torch.library.register_fake("tempreg::penalty_value")(_value_shape)
torch.library.register_fake("tempreg::penalty_value_and_slope")(_both_shapes)


def value_operator(w: Tensor, a: Sequence[float], c: Sequence[float]) -> Tensor:
    """The first operator; a 0-d tensor."""
    value: Tensor = torch.ops.tempreg.penalty_value(w, a, c)
    return value


def value_and_slope_operator(
    w: Tensor, a: Sequence[float], c: Sequence[float], scale: float
) -> tuple[Tensor, Tensor]:
    """The second operator; a 0-d tensor and one of the shape of w."""
    value, slope = torch.ops.tempreg.penalty_value_and_slope(w, a, c, scale)
    return value, slope
