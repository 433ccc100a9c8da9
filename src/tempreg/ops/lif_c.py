"""LIF through the C kernel in kernels/lif.c: the compiled backend on a CPU.

The two kernels are registered as torch.library operators, so that torch.compile and
torch.export see each as one opaque operator. They compute what `lif_eager` computes; see
there for the equations and the shapes. An input that repeats over time (stride 0, as
`expand` makes) is read in place and never copied.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tempreg.ops import cbuild
from tempreg.ops.ckernel import kernel, room_for, threads_for
from tempreg.ops.layout import elements, rows
from tempreg.ops.spec import LIFSpec

PARALLEL_FROM = 32_768
"""Elements from which threads are worth starting."""

_library = torch.library.Library("tempreg", "DEF")
_SPEC = "float v_threshold, float? v_reset, int surrogate, float surrogate_param, bool detach"
_library.define(f"lif_forward(Tensor x, Tensor v0, Tensor tau, {_SPEC}) -> (Tensor, Tensor)")
_library.define(
    f"lif_backward(Tensor gs, Tensor gv, Tensor x, Tensor v0, Tensor tau, {_SPEC}, bool rest)"
    " -> (Tensor, Tensor, Tensor)"
)


def forward(x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec) -> tuple[Tensor, Tensor]:
    """Spikes and last state."""
    spikes, v = torch.ops.tempreg.lif_forward(x, v0, tau, *spec.coded)
    return spikes, v


def backward(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec, rest: bool = True
) -> tuple[Tensor, ...]:
    """The gradient of x and, if asked for the `rest`, those of v0 and (by neuron) tau."""
    gradients = torch.ops.tempreg.lif_backward(gs, gv, x, v0, tau, *spec.coded, rest)
    return tuple(gradients) if rest else (gradients[0],)


def _forward_cpu(
    x: Tensor,
    v0: Tensor,
    tau: Tensor,
    v_threshold: float,
    v_reset: float | None,
    *_: object,  # which matter in the backward pass alone
) -> tuple[Tensor, Tensor]:
    steps, neurons = x.shape[0], v0.numel()
    (x, x_step), (v0, v0_step) = rows(x), elements(v0)
    spikes = torch.empty(x.shape, dtype=x.dtype)
    v = torch.empty(v0.shape, dtype=v0.dtype)
    layer = (tau.item(), v_threshold, v_reset or 0.0, v_reset is None)
    threads = threads_for(x.numel(), PARALLEL_FROM)
    run = kernel("lif", "lif_forward", x.dtype)
    run(x, x_step, v0, v0_step, spikes, v, steps, neurons, *layer, threads)
    return spikes, v


def _backward_cpu(
    gs: Tensor,
    gv: Tensor,
    x: Tensor,
    v0: Tensor,
    tau: Tensor,
    v_threshold: float,
    v_reset: float | None,
    surrogate: int,
    surrogate_param: float,
    detach: bool,
    rest: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    steps, neurons = x.shape[0], v0.numel()
    gs, (gv, gv_step) = gs.contiguous(), elements(gv)
    (x, x_step), (v0, v0_step) = rows(x), elements(v0)
    threads = threads_for(x.numel(), PARALLEL_FROM)
    room = room_for(x, steps, neurons, threads, cbuild.DEFINED["MOST_BLOCK"])
    gx, gv0, gtau = (torch.empty(shape, dtype=x.dtype) for shape in _shapes(x, v0, rest))
    found = (gx, gv0 if rest else None, gtau if rest else None)
    given = (gs, gv, gv_step, x, x_step, v0, v0_step)
    shape, constants = (steps, neurons), (tau.item(), v_threshold, v_reset or 0.0, surrogate_param)
    kinds = (v_reset is None, surrogate, detach)
    run = kernel("lif", "lif_backward", x.dtype)
    run(*given, *room, *found, *shape, *constants, *kinds, threads)
    return gx, gv0, gtau


_library.impl("lif_forward", _forward_cpu, "CPU")
_library.impl("lif_backward", _backward_cpu, "CPU")


def _forward_shapes(x: Tensor, v0: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), v0.new_empty(v0.shape)


def _shapes(x: Tensor, v0: Tensor, rest: bool) -> tuple[torch.Size, torch.Size, torch.Size]:
    """Of the three gradients; the last two are empty where nobody asks for them."""
    other = v0.shape if rest else torch.Size([0])
    return x.shape, other, other


def _backward_shapes(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, tau: Tensor, *others: object
) -> tuple[Tensor, Tensor, Tensor]:
    gx, gv0, gtau = (x.new_empty(shape) for shape in _shapes(x, v0, bool(others[-1])))
    return gx, gv0, gtau


torch.library.register_fake("tempreg::lif_forward")(_forward_shapes)
torch.library.register_fake("tempreg::lif_backward")(_backward_shapes)
