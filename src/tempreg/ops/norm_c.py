"""Batch norm and LIF in one pass through kernels/lif_norm.h, as torch.library operators.

    channel_statistics(x)       mean and biased variance of each channel
    norm_lif_forward(x, ...)    spikes of LIF whose input current is x * alpha + beta
    norm_lif_backward(gs, ...)  the gradient of x, and each channel's sums of the gradient of
                                the current and of its product with x - mean

Shapes: x [S, B, C, H, W] with S = T, or S = 1 for an input shown at all T steps; spikes and
gs [T, B, C, H, W]; alpha, beta, mean and the sums [C]. float32 or float64, on a CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tempreg.ops import cbuild
from tempreg.ops.ckernel import kernel, room_for, threads_for
from tempreg.ops.lif_c import PARALLEL_FROM
from tempreg.ops.spec import NormLIFSpec

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


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.contiguous()
    steps, batch, channels, height, width = x.shape
    mean, var = x.new_empty(channels), x.new_empty(channels)
    shape, threads = (
        (steps * batch, channels, height * width),
        threads_for(x.numel(), PARALLEL_FROM),
    )
    kernel("norm_lif", "channel_statistics", x.dtype)(x, *shape, mean, var, threads)
    return mean, var


def _forward(
    x: Tensor,
    alpha: Tensor,
    beta: Tensor,
    steps: int,
    tau: float,
    v_threshold: float,
    v_reset: float | None,
) -> Tensor:
    x, alpha, beta = x.contiguous(), alpha.contiguous(), beta.contiguous()
    neurons, spikes = x[0].numel(), _spikes_shape(x, alpha, beta, steps)
    by_channel = (alpha, beta, x.shape[2], x.shape[3] * x.shape[4])
    layer = (tau, v_threshold, v_reset or 0.0, v_reset is None)
    run = kernel("norm_lif", "norm_lif_forward", x.dtype)
    threads = threads_for(spikes.numel(), PARALLEL_FROM)
    run(x, _step(x), *by_channel, spikes, steps, neurons, *layer, threads)
    return spikes


def _backward(
    gs: Tensor,
    x: Tensor,
    alpha: Tensor,
    beta: Tensor,
    mean: Tensor,
    invstd: Tensor | None,
    tau: float,
    v_threshold: float,
    v_reset: float | None,
    surrogate: int,
    surrogate_param: float,
    detach: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    gs, x, mean = gs.contiguous(), x.contiguous(), mean.contiguous()
    steps, (_, batch, channels, height, width) = gs.shape[0], x.shape
    plane, neurons = height * width, x[0].numel()
    threads = threads_for(gs.numel(), PARALLEL_FROM)
    room = room_for(x, steps, neurons, threads, cbuild.DEFINED["NORM_BLOCK"])
    gx, sums = torch.empty_like(x), torch.zeros(threads, 2, channels, dtype=torch.float64)
    by_channel = (alpha, beta, mean, channels, plane)
    shape, constants = (steps, neurons), (tau, v_threshold, v_reset or 0.0, surrogate_param)
    kinds = (v_reset is None, surrogate, detach)
    run = kernel("norm_lif", "norm_lif_backward", x.dtype)
    run(gs, x, _step(x), *by_channel, *room, gx, sums, *shape, *constants, *kinds, threads)
    total, dot = sums.sum(0)
    if invstd is None:  # statistics that x doesn't change
        return gx.mul_(alpha[:, None, None]), total.to(x.dtype), dot.to(x.dtype)
    count = x.numel() // channels
    shift, slope = total / count, dot / count * invstd.double().square()
    shift, slope = shift.to(x.dtype), slope.to(x.dtype)
    planes = (x.shape[0] * batch * channels, channels, plane)
    kernel("norm_lif", "norm_backward", x.dtype)(x, gx, mean, shift, slope, alpha, *planes, threads)
    return gx, total.to(x.dtype), dot.to(x.dtype)


def _step(x: Tensor) -> int:
    """Elements from one timestep of x to the next; 0 where it has one that is shown at all."""
    return x[0].numel() if x.shape[0] > 1 else 0


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


def _affine(
    weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, spec: NormLIFSpec
) -> tuple[Tensor, Tensor, Tensor]:
    """alpha, beta and 1 / sqrt(var + eps)."""
    invstd = (var.double() + spec.eps).rsqrt().to(var.dtype)
    alpha = invstd if weight is None else invstd * weight
    beta = -mean * alpha if bias is None else bias - mean * alpha
    if spec.gain != 1.0:
        alpha, beta = alpha * spec.gain, beta * spec.gain
    return alpha, beta, invstd


def takes(x: Tensor, steps: int) -> bool:
    """Whether the kernels are for x's dtype, of any number of timesteps."""
    return x.dtype in (torch.float32, torch.float64)


def forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    var: Tensor | None,
    running: tuple[Tensor, Tensor, float] | None,
    spec: NormLIFSpec,
) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes, mean and variance; see `norm_lif`."""
    if mean is None or var is None:
        mean, var = channel_statistics(x)
    else:
        mean, var = mean.clone(), var.clone()
    if running is not None:
        *kept, factor = running
        count = x.numel() // x.shape[2]
        kept[0].mul_(1 - factor).add_(mean, alpha=factor)
        kept[1].mul_(1 - factor).add_(var, alpha=factor * count / (count - 1))
    alpha, beta, _ = _affine(weight, bias, mean, var, spec)
    spikes = norm_lif_forward(x, alpha, beta, spec.steps, spec.tau, *spec.lif[:2])
    return spikes, mean, var


def backward(
    gs: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    own_statistics: bool,
    spec: NormLIFSpec,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias; see `norm_lif`."""
    alpha, beta, invstd = _affine(weight, bias, mean, var, spec)
    gx, total, dot = norm_lif_backward(
        gs, x, alpha, beta, mean, invstd if own_statistics else None, spec.tau, *spec.lif.coded
    )
    return gx, dot * invstd * spec.gain, total * spec.gain
