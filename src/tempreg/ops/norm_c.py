"""Batch norm and LIF in one pass through kernels/lif_norm.h, as torch.library operators.

    channel_statistics(x)       mean and biased variance of each channel
    norm_lif_forward(x, ...)    spikes of LIF whose input current is x * alpha + beta
    norm_lif_backward(gs, ...)  the gradient of x, and each channel's sums of the gradient of
                                the current and of its product with x - mean

Shapes: x [S, B, C, H, W] with S = T, or S = 1 for an input shown at all T steps; spikes and
gs [T, B, C, H, W]; alpha, beta, mean and the sums [C]. float32 or float64, on a CPU; or bfloat16,
with what is of a channel in float32. Where x has its channels last in memory, so have spikes and
its gradient; otherwise all are contiguous.
"""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor

from tempreg.ops import cbuild
from tempreg.ops.ckernel import NARROW, PARALLEL_FROM, computed_in, kernel, room_for, threads_for
from tempreg.ops.layout import channels_last
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


@final
class _Laid(NamedTuple):
    """x as kernels read it.

    Attributes:
        x: contiguous; [S, B, H, W, C] where `last` is set.
        last: whether channels are last in memory. What is made of x lies as it does.
        channels: C.
        plane: elements that lie together in a channel: H * W, or 1.
    """

    x: Tensor
    last: bool
    channels: int
    plane: int

    def like(self, other: Tensor) -> Tensor:
        """Another tensor [T, B, C, H, W] in the same order."""
        return (other.movedim(2, -1) if self.last else other).contiguous()

    def new(self, steps: int) -> Tensor:
        """Memory for `steps` timesteps."""
        return self.x.new_empty((steps, *self.x.shape[1:]))

    def back(self, made: Tensor) -> Tensor:
        """As [T, B, C, H, W]."""
        return made.movedim(-1, 2) if self.last else made


def _laid(x: Tensor) -> _Laid:
    if channels_last(x):
        return _Laid(x.movedim(2, -1), True, x.shape[2], 1)
    return _Laid(x.contiguous(), False, x.shape[2], x.shape[3] * x.shape[4])


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    laid, (mean, var) = _laid(x), _statistics_shape(x)
    images = x.numel() // max(laid.channels * laid.plane, 1)
    threads = threads_for(x.numel(), PARALLEL_FROM)
    run = kernel("norm_lif", "channel_statistics", x.dtype)
    run(laid.x, images, laid.channels, laid.plane, laid.last, mean, var, threads)
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
    laid, alpha, beta = _laid(x), alpha.contiguous(), beta.contiguous()
    neurons, spikes = x[0].numel(), laid.new(steps)
    by_channel = (alpha, beta, laid.channels, laid.plane)
    layer = (tau, v_threshold, v_reset or 0.0, v_reset is None)
    run = kernel("norm_lif", "norm_lif_forward", x.dtype)
    threads = threads_for(spikes.numel(), PARALLEL_FROM)
    run(laid.x, _step(x), *by_channel, spikes, steps, neurons, *layer, threads)
    return laid.back(spikes)


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
    laid, mean = _laid(x), mean.contiguous()
    gs, x, gx = laid.like(gs), laid.x, laid.new(len(x))
    steps, neurons, channels, plane = gs.shape[0], x[0].numel(), laid.channels, laid.plane
    threads = threads_for(gs.numel(), PARALLEL_FROM)
    room = room_for(x, steps, neurons, threads, cbuild.DEFINED["NORM_BLOCK"])
    sums = torch.zeros(threads, 2, channels, dtype=torch.float64)
    shape, constants = (steps, neurons), (tau, v_threshold, v_reset or 0.0, surrogate_param)
    kinds = (v_reset is None, surrogate, detach)
    run = kernel("norm_lif", "norm_lif_backward", x.dtype)

    def call(gx: Tensor | None, sums: Tensor | None, *centre: Tensor) -> None:
        by_channel = (alpha, beta, mean, *(centre or (None, None)), channels, plane)
        given = (gs, x, _step(x), *by_channel, *room, gx, sums)
        run(*given, *shape, *constants, *kinds, threads)

    rounded = x.dtype != mean.dtype
    call(None if rounded and invstd is not None else gx, sums)
    total, dot = sums.sum(0)
    found = total.to(mean.dtype), dot.to(mean.dtype)
    if invstd is None:  # statistics that x doesn't change
        factor = alpha if laid.last else alpha[:, None, None]
        return laid.back(gx if rounded else gx.mul_(factor)), *found
    count = x.numel() // channels
    shift, slope = total / count, dot / count * invstd.double().square()
    centre = shift.to(mean.dtype), slope.to(mean.dtype)
    if rounded:
        call(gx, None, *centre)
    else:
        pieces = (x.numel() // plane, channels, plane)
        kernel("norm_lif", "norm_backward", x.dtype)(x, gx, mean, *centre, alpha, *pieces, threads)
    return laid.back(gx), *found


def _step(x: Tensor) -> int:
    """Elements from one timestep of x to the next; 0 where it has one that is shown at all."""
    return x[0].numel() if x.shape[0] > 1 else 0


def _statistics_shape(x: Tensor) -> tuple[Tensor, Tensor]:
    mean, var = (x.new_empty(x.shape[2], dtype=computed_in(x.dtype)) for _ in range(2))
    return mean, var


def _spikes_shape(x: Tensor, alpha: Tensor, beta: Tensor, steps: int, *_: object) -> Tensor:
    laid = _laid(x)
    return laid.back(laid.new(steps))


def _gradients_shape(gs: Tensor, x: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor]:
    laid = _laid(x)
    return laid.back(laid.new(len(x))), *_statistics_shape(x)


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
    return x.dtype in NARROW


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
