"""LIF through the C kernel in kernels/lif.c: the compiled backend on a CPU.

The two kernels are registered as torch.library operators, so that torch.compile and
torch.export see each as one opaque operator. They compute what `lif_eager` computes; see
there for the equations and the shapes. An input that repeats over time (stride 0, as
`expand` makes) is read in place and never copied, and so is one of bfloat16, which states aren't,
and one whose timesteps lie in memory in another order, as channels-last images do: spikes and
gradients lie as it does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tempreg.ops import cbuild
from tempreg.ops.ckernel import ELEMENTS, PARALLEL_FROM, computed_in, kernel, room_for, threads_for
from tempreg.ops.layout import elements, in_time, of_a_step, ordered_in_time, planes
from tempreg.ops.mapping import alone
from tempreg.ops.spec import LIFSpec, split_tau

PLAIN = True
"""x may have half precision, v0 may be None for zeros, tau a number; see `dispatch.lif`."""

SHORT = True
"""A small layer may go the way of `lif_short`, to the same kernels."""

_library = torch.library.Library("tempreg", "DEF")
_SPEC = "float v_threshold, float? v_reset, int surrogate, float surrogate_param, bool detach"
_library.define(
    f"lif_forward(Tensor x, Tensor? v0, Tensor? tau, float fixed, {_SPEC}) -> (Tensor, Tensor)"
)
_library.define(
    "lif_backward(Tensor gs, Tensor? gv, Tensor x, Tensor? v0, Tensor? tau, float fixed, "
    f"{_SPEC}, bool rest) -> (Tensor, Tensor, Tensor)"
)


def forward(
    x: Tensor, v0: Tensor | None, tau: Tensor | float, spec: LIFSpec, last: bool = True
) -> tuple[Tensor, Tensor]:
    """Spikes and last state, which is written whether it is wanted (`last`) or not."""
    run: Any = _forward_cpu if alone(x, v0) else torch.ops.tempreg.lif_forward
    spikes, v = run(_wide(x), v0, *split_tau(tau), *spec.coded)
    return (spikes if spikes.dtype == x.dtype else spikes.to(x.dtype)), v


def backward(
    gs: Tensor,
    gv: Tensor | None,
    x: Tensor,
    v0: Tensor | None,
    tau: Tensor | float,
    spec: LIFSpec,
    rest: bool = True,
) -> tuple[Tensor, ...]:
    """The gradient of x and, if asked for the `rest`, those of v0 and (by neuron) tau."""
    run: Any = _backward_cpu if alone(gs, gv, x) else torch.ops.tempreg.lif_backward
    gx, *others = run(_wide(gs), gv, _wide(x), v0, *split_tau(tau), *spec.coded, rest)
    gx = gx if gx.dtype == x.dtype else gx.to(x.dtype)
    return (gx, *others) if rest else (gx,)


def _wide(x: Tensor) -> Tensor:
    """x in a dtype that there is a kernel for."""
    return x.float() if x.dtype == torch.float16 else x


def _forward_cpu(
    x: Tensor,
    v0: Tensor | None,
    tau: Tensor | None,
    fixed: float,
    v_threshold: float,
    v_reset: float | None,
    *_: object,  # which matter in the backward pass alone
) -> tuple[Tensor, Tensor]:
    x, x_step = planes(x)
    v0, v0_step = _state(v0, x)
    spikes, v = in_time(x, x), of_a_step(x, computed_in(x.dtype))
    number = fixed if tau is None else tau.item()
    layer = (number, v_threshold, v_reset or 0.0, v_reset is None)
    threads = threads_for(x.numel(), PARALLEL_FROM)
    run = kernel("lif", "lif_forward", x.dtype)
    run(x, x_step, v0, v0_step, spikes, v, x.shape[0], v.numel(), *layer, threads)
    return spikes, v


def _backward_cpu(
    gs: Tensor,
    gv: Tensor | None,
    x: Tensor,
    v0: Tensor | None,
    tau: Tensor | None,
    fixed: float,
    v_threshold: float,
    v_reset: float | None,
    surrogate: int,
    surrogate_param: float,
    detach: bool,
    rest: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    x, x_step = planes(x)
    gx, dtype = in_time(x, x), computed_in(x.dtype)
    gv0, gtau = (of_a_step(x, dtype) if rest else None for _ in range(2))
    steps, neurons = x.shape[0], x[0].numel()
    gs, (gv, gv_step), (v0, v0_step) = ordered_in_time(gs, x), _state(gv, x), _state(v0, x)
    threads = threads_for(gx.numel(), PARALLEL_FROM)
    room = room_for(x, steps, neurons, threads, cbuild.DEFINED["MOST_BLOCK"])
    given = (gs, gv, gv_step, x, x_step, v0, v0_step)
    number = fixed if tau is None else tau.item()
    shape, constants = (steps, neurons), (number, v_threshold, v_reset or 0.0, surrogate_param)
    kinds = (v_reset is None, surrogate, detach)
    run = kernel("lif", "lif_backward", x.dtype)
    run(*given, *room, gx, gv0, gtau, *shape, *constants, *kinds, threads)
    return gx, gv0, gtau


_ZEROS = {dtype: torch.zeros((), dtype=dtype, device="cpu") for dtype in ELEMENTS}


def _state(v: Tensor | None, x: Tensor) -> tuple[Tensor, int]:
    """v, or zeros, as `elements` has it."""
    return (_ZEROS[computed_in(x.dtype)], 0) if v is None else elements(v, x)


def _backward_filled(*given: Any) -> tuple[Tensor, ...]:
    """As an operator has to give it: three tensors, empty where nobody asks for the rest."""
    gs = given[0]
    dtype, made = computed_in(gs.dtype), _backward_cpu(*given)
    return tuple(gs.new_empty(0, dtype=dtype) if g is None else g for g in made)


_library.impl("lif_forward", _forward_cpu, "CPU")
_library.impl("lif_backward", _backward_filled, "CPU")


def _forward_shapes(x: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return in_time(x, x), of_a_step(x, computed_in(x.dtype))


def _backward_shapes(
    gs: Tensor, gv: Tensor | None, x: Tensor, *others: object
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the three gradients; the last two are empty where nobody asks for the rest."""
    dtype = computed_in(x.dtype)
    gv0, gtau = (
        of_a_step(x, dtype) if others[-1] else x.new_empty(0, dtype=dtype) for _ in range(2)
    )
    return in_time(x, x), gv0, gtau


torch.library.register_fake("tempreg::lif_forward")(_forward_shapes)
torch.library.register_fake("tempreg::lif_backward")(_backward_shapes)
