"""Batch norm and LIF in one pass through kernels/lif_norm.h, as torch.library operators.

    channel_statistics(x)       mean and biased variance of each channel
    norm_lif_forward(x, ...)    spikes of LIF whose input current is x * alpha + beta
    norm_lif_backward(gs, ...)  the gradient of x, and each channel's sums of the gradient of
                                the current and of its product with x - mean

Shapes: x [S, B, C, H, W] with S = T, or S = 1 for an input shown at all T steps; spikes and
gs [T, B, C, H, W]; alpha, beta, mean and the sums [C]. float32 or float64, on a CPU.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import torch
from torch import Tensor

from tempreg.ops import cbuild
from tempreg.ops.lif_c import SCRATCH_BYTES, SUFFIX, threads_for

MOST_BLOCK = 2048  # NORM_BLOCK in kernels/lif_types.h
_POINTER, _INT, _LONG, _DOUBLE = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_double
_TYPES: dict[str, list[Any]] = {
    "channel_statistics": [_POINTER, *[_LONG] * 3, *[_POINTER] * 2, _INT],
    "norm_lif_forward": [
        _POINTER, _LONG, *[_POINTER] * 2, *[_LONG] * 2, _POINTER, *[_LONG] * 2, *[_DOUBLE] * 3,
        *[_INT] * 2,
    ],
    "norm_lif_backward": [
        *[_POINTER] * 2, _LONG, *[_POINTER] * 3, *[_LONG] * 2, _POINTER, _LONG, *[_POINTER] * 2,
        *[_LONG] * 2, *[_DOUBLE] * 4, *[_INT] * 4,
    ],
    "norm_backward": [*[_POINTER] * 6, *[_LONG] * 3, _INT],
}  # fmt: skip

_library = torch.library.Library("tempreg", "FRAGMENT")
_library.define("channel_statistics(Tensor x) -> (Tensor, Tensor)")
_library.define(
    "norm_lif_forward(Tensor x, Tensor alpha, Tensor beta, int steps, float tau, "
    "float v_threshold, float? v_reset) -> Tensor"
)
_library.define(
    "norm_lif_backward(Tensor gs, Tensor x, Tensor alpha, Tensor beta, Tensor mean, "
    "Tensor? invstd, float tau, float v_threshold, float? v_reset, int surrogate, "
    "float surrogate_param, bool detach) -> (Tensor, Tensor, Tensor)"
)


@functools.cache
def _kernel(name: str, dtype: torch.dtype) -> ctypes._NamedFuncPointer:
    function = cbuild.load("norm_lif", SUFFIX[dtype])[f"{name}_{SUFFIX[dtype]}"]
    function.argtypes = _TYPES[name]
    function.restype = None
    return function


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.contiguous()
    steps, batch, channels, height, width = x.shape
    mean, var = x.new_empty(channels), x.new_empty(channels)
    _kernel("channel_statistics", x.dtype)(
        x.data_ptr(), steps * batch, channels, height * width, mean.data_ptr(), var.data_ptr(),
        threads_for(x.numel()),
    )  # fmt: skip
    return mean, var


def _forward(
    x: Tensor, alpha: Tensor, beta: Tensor, steps: int, tau: float, v_threshold: float,
    v_reset: float | None,
) -> Tensor:  # fmt: skip
    x, alpha, beta = x.contiguous(), alpha.contiguous(), beta.contiguous()
    channels, plane = x.shape[2], x.shape[3] * x.shape[4]
    neurons = x[0].numel()
    spikes = _spikes_shape(x, alpha, beta, steps)
    _kernel("norm_lif_forward", x.dtype)(
        x.data_ptr(), neurons if x.shape[0] > 1 else 0, alpha.data_ptr(), beta.data_ptr(),
        channels, plane, spikes.data_ptr(), steps, neurons, tau, v_threshold, v_reset or 0.0,
        v_reset is None, threads_for(spikes.numel()),
    )  # fmt: skip
    return spikes


def _backward(
    gs: Tensor, x: Tensor, alpha: Tensor, beta: Tensor, mean: Tensor, invstd: Tensor | None,
    tau: float, v_threshold: float, v_reset: float | None, surrogate: int, surrogate_param: float,
    detach: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    gs, x, mean = gs.contiguous(), x.contiguous(), mean.contiguous()
    steps, (_, batch, channels, height, width) = gs.shape[0], x.shape
    plane, neurons = height * width, x[0].numel()
    threads = threads_for(gs.numel())
    fitting = max(16, SCRATCH_BYTES // (x.element_size() * steps))
    block = max(1, min(MOST_BLOCK, fitting, -(-neurons // threads)))
    scratch = x.new_empty(threads * steps * block)
    gx, sums = torch.empty_like(x), torch.zeros(threads, 2, channels, dtype=torch.float64)
    _kernel("norm_lif_backward", x.dtype)(
        gs.data_ptr(), x.data_ptr(), neurons if x.shape[0] > 1 else 0, alpha.data_ptr(),
        beta.data_ptr(), mean.data_ptr(), channels, plane, scratch.data_ptr(), block,
        gx.data_ptr(), sums.data_ptr(), steps, neurons, tau, v_threshold, v_reset or 0.0,
        surrogate_param, v_reset is None, surrogate, detach, threads,
    )  # fmt: skip
    total, dot = sums.sum(0)
    if invstd is None:  # statistics that x doesn't change
        return gx.mul_(alpha[:, None, None]), total.to(x.dtype), dot.to(x.dtype)
    count = x.numel() // channels
    shift, slope = total / count, dot / count * invstd.double().square()
    shift, slope = shift.to(x.dtype), slope.to(x.dtype)
    _kernel("norm_backward", x.dtype)(
        x.data_ptr(), gx.data_ptr(), mean.data_ptr(), shift.data_ptr(), slope.data_ptr(),
        alpha.data_ptr(), x.shape[0] * batch * channels, channels, plane, threads,
    )  # fmt: skip
    return gx, total.to(x.dtype), dot.to(x.dtype)


def _statistics_shape(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape[2]), x.new_empty(x.shape[2])


def _spikes_shape(x: Tensor, alpha: Tensor, beta: Tensor, steps: int, *_: object) -> Tensor:
    return x.new_empty((steps, *x.shape[1:]))


def _gradients_shape(gs: Tensor, x: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape[2]), x.new_empty(x.shape[2])


_library.impl("channel_statistics", _statistics, "CPU")
_library.impl("norm_lif_forward", _forward, "CPU")
_library.impl("norm_lif_backward", _backward, "CPU")
torch.library.register_fake("tempreg::channel_statistics")(_statistics_shape)
torch.library.register_fake("tempreg::norm_lif_forward")(_spikes_shape)
torch.library.register_fake("tempreg::norm_lif_backward")(_gradients_shape)

channel_statistics = torch.ops.tempreg.channel_statistics.default
norm_lif_forward = torch.ops.tempreg.norm_lif_forward.default
norm_lif_backward = torch.ops.tempreg.norm_lif_backward.default
