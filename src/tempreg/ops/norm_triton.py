"""Batch norm and LIF in one pass on CUDA: launches of the kernels in `norm_triton_kernels`.

Forward, three launches: each program's statistics, these put together, and spikes; or the last
alone, where statistics are given. Backward: each program's sums, these put together, and the
gradient of x, for which the neurons run once more; or the first two, where statistics were given.

Traffic, in elements of x: x is read twice and spikes are written forward; x and their gradient are
read twice and the gradient of x is written backward: 8 a step and neuron, where a batch norm and
LIF, each by itself, move 13. What is kept in between is x alone.

Up to UNROLLED timesteps; see `models.fused` for what else must hold.
"""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any, NamedTuple, final

import torch
import triton
import triton.language as tl
from torch import Tensor

from tempreg.ops.dispatch import state_dtype
from tempreg.ops.layout import same_order
from tempreg.ops.lif_triton import LAUNCH, block, layer
from tempreg.ops.lif_triton_kernels import UNROLLED
from tempreg.ops.norm_triton_kernels import (
    backward_kernel,
    combined_kernel,
    forward_kernel,
    statistics_kernel,
    summed_kernel,
)
from tempreg.ops.spec import LIFSpec, NormLIFSpec

PARTS = 512
"""Parts of a channel that are put together at once."""
CHANNELS = 32
"""Channels of a tile where they are neighbours in memory."""
TALLER = 8
"""Statistics are taken of tiles that have so many times as many rows."""
Made = tuple[Tensor, Tensor, Tensor]


@final
class _Laid(NamedTuple):
    """x [S, B, C, H, W] as the kernels see it, and the tile [height, width] of a program."""

    x: Tensor
    rows: int
    channels: int
    inner: int
    last: bool
    height: int
    width: int

    @property
    def neurons(self) -> int:
        """Of a step."""
        return self.rows * self.channels * self.inner

    def parts(self, rows: int, height: int) -> int:
        """Of a channel."""
        across = 1 if self.last else triton.cdiv(self.inner, self.width)
        return int(triton.cdiv(rows, height)) * int(across)

    def programs(self, rows: int, height: int) -> tuple[int]:
        """For all tiles."""
        columns = triton.cdiv(self.channels, self.width) if self.last else self.channels
        return (self.parts(rows, height) * columns,)

    @property
    def common(self) -> dict[str, Any]:
        """Compile-time arguments of kernels that take tiles."""
        state = tl.float64 if self.x.dtype == torch.float64 else tl.float32
        return {"STATE": state, "LAST": self.last, "K": self.width, **LAUNCH}


def _laid(x: Tensor) -> _Laid:
    """x as it is in memory, where its channels are planes, or neighbours; else a copy."""
    _, batch, channels, height, width = x.shape
    last = not x.is_contiguous() and x.permute(0, 1, 3, 4, 2).is_contiguous()
    if not last:
        x = x.contiguous()
    rows, inner = (batch * height * width, 1) if last else (batch, height * width)
    neighbours = min(channels, CHANNELS) if last else min(inner, block(x.dtype))
    across = triton.next_power_of_2(neighbours)
    return _Laid(x, rows, channels, inner, last, block(x.dtype) // across, across)


def takes(x: Tensor, steps: int) -> bool:
    """Whether the kernels have registers for so many timesteps, whatever x is."""
    return steps <= UNROLLED


def _lif(x: Tensor, spec: NormLIFSpec) -> dict[str, Any]:
    """Compile-time arguments of kernels that run the neurons."""
    return {
        "STEPS": spec.steps,
        "ONCE": len(x) == 1,
        "TAU": spec.tau,
        "LAYER": layer(spec.lif, spec.tau),
        "NORM": (spec.eps, spec.gain),
    }


def forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    var: Tensor | None,
    running: tuple[Tensor, Tensor, float] | None,
    spec: NormLIFSpec,
) -> Made:
    """Spikes, mean and variance; see `norm_lif`."""
    kept = (None, None, 0.0) if running is None else running
    spikes, *found = torch.ops.tempreg.norm_lif_triton_forward(
        x, weight, bias, mean, var, *kept, *spec[:-1], *spec.lif
    )
    if mean is not None and var is not None:
        return spikes, mean.detach(), var.detach()
    return spikes, found[0], found[1]


def backward(
    gs: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    own_statistics: bool,
    spec: NormLIFSpec,
) -> Made:
    """The gradients of x, weight and bias; see `norm_lif`."""
    made: Made = torch.ops.tempreg.norm_lif_triton_backward(
        gs, x, weight, bias, mean, var, own_statistics, *spec[:-1], *spec.lif
    )
    return made


def _spec(flat: tuple[Any, ...]) -> NormLIFSpec:
    steps, tau, eps, gain, *others = flat
    return NormLIFSpec(steps, tau, eps, gain, LIFSpec(*others))


def _forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    given_mean: Tensor | None,
    given_var: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    factor: float,
    *flat: Any,
) -> Made:
    spec, laid = _spec(flat), _laid(x)
    x = laid.x
    spikes, mean, var = _forward_shapes(
        x, weight, bias, given_mean, given_var, running_mean, running_var, factor, *flat
    )
    with torch.cuda.device_of(x):  # Triton launches on the current device
        if given_mean is None:
            _statistics(laid, mean, var, (running_mean, running_var, factor))
        forward_kernel[laid.programs(laid.rows, laid.height)](
            x,
            weight,
            bias,
            mean if given_mean is None else given_mean,
            var if given_var is None else given_var,
            spikes,
            laid.rows,
            laid.channels,
            laid.inner,
            laid.neurons,
            R=laid.height,
            **_lif(x, spec),
            **laid.common,
        )
    return spikes, mean, var


def _statistics(
    laid: _Laid, mean: Tensor, var: Tensor, running: tuple[Tensor | None, Tensor | None, float]
) -> None:
    """Those of x into mean and var, and the running ones moved to them."""
    rows, height = laid.rows * len(laid.x), laid.height * TALLER
    parts = laid.parts(rows, height)
    partial = mean.new_empty(4, laid.channels, parts)
    shape = (rows, laid.channels, laid.inner, parts)
    statistics_kernel[laid.programs(rows, height)](laid.x, partial, *shape, R=height, **laid.common)
    combined_kernel[(laid.channels,)](
        partial,
        mean,
        var,
        *running[:2],
        parts,
        laid.channels,
        FACTOR=running[2],
        STATE=laid.common["STATE"],
        BLOCK=PARTS,
        **LAUNCH,
    )


def _backward(
    gs: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    own_statistics: bool,
    *flat: Any,
) -> Made:
    spec, laid = _spec(flat), _laid(x)
    x = laid.x
    gx, gweight, gbias = _backward_shapes(gs, x, weight, bias, mean, var)
    if not same_order(gs[0], x.shape[1:], x.stride()[1:]):
        strides = (laid.neurons, *x.stride()[1:])
        ordered = torch.empty_strided(gs.shape, strides, dtype=gs.dtype, device=gs.device)
        gs = ordered.copy_(gs)
    parts = laid.parts(laid.rows, laid.height)
    partial = mean.new_empty(2, laid.channels, parts)
    found = mean.new_empty(2, laid.channels) if own_statistics else None
    keywords = {"R": laid.height, **_lif(x, spec), **laid.common}
    shape = (laid.rows, laid.channels, laid.inner, parts, laid.neurons, gs.stride(0))
    given, programs = (gs, x, weight, bias, mean, var), laid.programs(laid.rows, laid.height)
    with torch.cuda.device_of(x):
        at_once = None if own_statistics else gx
        backward_kernel[programs](*given, None, partial, at_once, *shape, **keywords)
        summed_kernel[(laid.channels,)](
            partial,
            var,
            found,
            gweight,
            gbias,
            x.numel() // laid.channels,
            parts,
            laid.channels,
            NORM=keywords["NORM"],
            STATE=keywords["STATE"],
            BLOCK=PARTS,
            **LAUNCH,
        )
        if own_statistics:
            backward_kernel[programs](*given, found, None, gx, *shape, **keywords)
    return gx, gweight, gbias


def _forward_shapes(x: Tensor, *others: Any) -> Made:
    given, steps, dtype = others[2], others[7], state_dtype(x.dtype)
    strides = (x[0].numel(), *_laid(x).x.stride()[1:])
    spikes = torch.empty_strided((steps, *x.shape[1:]), strides, dtype=x.dtype, device=x.device)
    channels = x.shape[2] if given is None else 0
    mean, var = (x.new_empty(channels, dtype=dtype) for _ in range(2))
    return spikes, mean, var


def _backward_shapes(gs: Tensor, x: Tensor, *_: Any) -> Made:
    strides = (x[0].numel(), *_laid(x).x.stride()[1:])
    gx = torch.empty_strided(x.shape, strides, dtype=x.dtype, device=x.device)
    of_channels = [x.new_empty(x.shape[2], dtype=state_dtype(x.dtype)) for _ in range(2)]
    return gx, of_channels[0], of_channels[1]


_library = torch.library.Library("tempreg", "FRAGMENT")
_SPEC = (
    "int steps, float tau, float eps, float gain, "
    "float v_threshold, float? v_reset, str surrogate, float surrogate_param, bool detach"
)
_library.define(
    "norm_lif_triton_forward(Tensor x, Tensor? weight, Tensor? bias, Tensor? mean, Tensor? var, "
    f"Tensor(a!)? running_mean, Tensor(b!)? running_var, float factor, {_SPEC}) "
    "-> (Tensor, Tensor, Tensor)"
)
_library.define(
    "norm_lif_triton_backward(Tensor gs, Tensor x, Tensor? weight, Tensor? bias, Tensor mean, "
    f"Tensor var, bool own_statistics, {_SPEC}) -> (Tensor, Tensor, Tensor)"
)
for _key in ("CUDA", "CPU"):  # on CPU tensors Triton's interpreter runs them
    _library.impl("norm_lif_triton_forward", _forward, _key)
    _library.impl("norm_lif_triton_backward", _backward, _key)
torch.library.register_fake("tempreg::norm_lif_triton_forward")(_forward_shapes)
torch.library.register_fake("tempreg::norm_lif_triton_backward")(_backward_shapes)
