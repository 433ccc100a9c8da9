"""LIF of a small layer on a CPU by the shortest way: one autograd function around two C calls.

Of a few thousand neurons the arithmetic takes less time than to look at strides, states and who
else is watching. So a layer that `is_short` has none of these to look at: contiguous, of few
elements, from a state of zeros, with a number for tau, and nobody asks for its last state. It
computes what `lif_c` computes, by the same kernels, bit for bit.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from types import ModuleType
from typing import Any, final

import torch
from torch import Tensor

from tempreg.ops.ckernel import ELEMENTS, PARALLEL_FROM, by_address, threads_for
from tempreg.ops.lif_autograd import LIFBackward
from tempreg.ops.mapping import alone, direct
from tempreg.ops.spec import LIFSpec

MOST = 524_288
"""Elements up to which a layer is short."""


@final
class _Room(threading.local):
    """For states that nobody asks for, by dtype; each Python thread's own."""

    def __init__(self) -> None:
        self.tensors = {d: torch.empty(2 * MOST, dtype=d, device="cpu") for d in ELEMENTS}
        self.places = {dtype: room.data_ptr() for dtype, room in self.tensors.items()}


_ROOM = _Room()


def is_short(x: Tensor, tau: Tensor | float) -> bool:
    """Whether a layer with this input, of a state of zeros, may go the short way."""
    return (
        0 < x.numel() <= MOST
        and x.ndim > 0
        and x.is_cpu
        and x.dtype in ELEMENTS
        and not isinstance(tau, Tensor)
        and x.is_contiguous()
        and alone(x)
    )


def spikes(x: Tensor, tau: float, spec: LIFSpec, general: ModuleType) -> Tensor:
    """Spikes [T, *N] of x, which `is_short`; `general` is `lif_c`, for when others look on."""
    if torch.is_grad_enabled():
        made: Tensor = _SHORT_LIF(x, tau, spec, general)
        return made
    return _forward(x, tau, spec)


def _forward(x: Tensor, tau: float, spec: LIFSpec) -> Tensor:
    made, dtype, steps = torch.empty_like(x), x.dtype, x.shape[0]
    neurons = x.numel() // steps
    run = by_address("lif", "short_forward", dtype)
    places = x.data_ptr(), made.data_ptr(), _ROOM.places[dtype]
    run(*places, steps, neurons, _layer(tau, spec), _threads(x, neurons))
    return made


@functools.lru_cache(maxsize=1024)
def _layer(tau: float, spec: LIFSpec) -> Any:
    """What the kernel knows of a layer, in one piece: each argument of a call takes its time."""
    v_threshold, v_reset, surrogate, param, detach = spec.coded
    soft = v_reset is None
    numbers = tau, v_threshold, v_reset or 0.0, param, soft, surrogate, detach
    return (ctypes.c_double * len(numbers))(*numbers)


def _threads(x: Tensor, neurons: int) -> int:
    """As many as room is for."""
    return min(threads_for(x.numel(), PARALLEL_FROM), neurons)


@final
class _ShortLIF(torch.autograd.Function):
    """(x, tau, spec, general) -> spikes; `LIFFunction` for what `is_short`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, tau: float, spec: LIFSpec, general: ModuleType) -> Tensor:
        ctx.save_for_backward(x)
        ctx.layer = tau, spec, general
        return _forward(x, tau, spec)

    @staticmethod
    def backward(ctx: Any, gs: Tensor) -> tuple[Tensor | None, ...]:
        (x,), (tau, spec, general) = ctx.saved_tensors, ctx.layer
        if torch.is_grad_enabled() or not alone(gs):  # for someone who maps or differentiates it
            seen = (gs, None, x, None, tau, spec, general, False, None)
            return LIFBackward.apply(*seen)[0], None, None, None
        gs, gx, dtype, steps = gs.contiguous(), torch.empty_like(x), x.dtype, x.shape[0]
        neurons = x.numel() // steps
        run = by_address("lif", "short_backward", dtype)
        places = gs.data_ptr(), x.data_ptr(), gx.data_ptr(), _ROOM.places[dtype]
        run(*places, steps, neurons, _layer(tau, spec), _threads(x, neurons))
        return gx, None, None, None


_SHORT_LIF = direct(_ShortLIF)
