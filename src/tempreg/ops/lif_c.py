"""LIF through the C kernel in kernels/lif.c: the compiled backend on a CPU.

The two kernels are registered as torch.library operators, so that torch.compile and
torch.export see each as one opaque operator. They compute what `lif_eager` computes; see
there for the equations and the shapes. An input that repeats over time (stride 0, as
`expand` makes) is read in place and never copied.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import torch
from torch import Tensor

from tempreg.ops import cbuild
from tempreg.ops.layout import elements, rows
from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import DERIVATIVES, SURROGATE_CODES

SCRATCH_BYTES = 512 * 1024
"""A thread's room for the membrane potentials of one block: it should fit a level-2 cache."""
MOST_BLOCK = 8192  # as in kernels/lif_types.h
PARALLEL_FROM = 32_768
"""Elements below which starting threads costs more than it saves."""
SUFFIX = {torch.float32: "float", torch.float64: "double"}
_POINTER, _INT, _LONG, _DOUBLE = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_double
_FORWARD = [
    *[_POINTER, _LONG] * 2, *[_POINTER] * 2, *[_LONG] * 2, *[_DOUBLE] * 3, *[_INT] * 2,
]  # fmt: skip
_BACKWARD = [
    _POINTER, *[_POINTER, _LONG] * 4, *[_POINTER] * 3, *[_LONG] * 2, *[_DOUBLE] * 4, *[_INT] * 4,
]  # fmt: skip

_library = torch.library.Library("tempreg", "DEF")
_SPEC = "float v_threshold, float? v_reset, int surrogate, float surrogate_param, bool detach"
_library.define(f"lif_forward(Tensor x, Tensor v0, Tensor tau, {_SPEC}) -> (Tensor, Tensor)")
_library.define(
    f"lif_backward(Tensor gs, Tensor gv, Tensor x, Tensor v0, Tensor tau, {_SPEC}, bool rest)"
    " -> (Tensor, Tensor, Tensor)"
)


def forward(x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec) -> tuple[Tensor, Tensor]:
    """Spikes and last state."""
    spikes, v = torch.ops.tempreg.lif_forward(x, v0, tau, *_coded(spec))
    return spikes, v


def backward(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec, rest: bool = True
) -> tuple[Tensor, ...]:
    """The gradient of x and, if asked for the `rest`, those of v0 and (by neuron) tau."""
    gradients = torch.ops.tempreg.lif_backward(gs, gv, x, v0, tau, *_coded(spec), rest)
    return tuple(gradients) if rest else (gradients[0],)


def _coded(spec: LIFSpec) -> tuple[float, float | None, int, float, bool]:
    return spec._replace(surrogate=SURROGATE_CODES[spec.surrogate])  # type: ignore[arg-type, return-value]


@functools.cache
def _kernel(direction: str, dtype: torch.dtype) -> ctypes._NamedFuncPointer:
    function = cbuild.load("lif", SUFFIX[dtype])[f"lif_{direction}_{SUFFIX[dtype]}"]
    types: list[Any] = _FORWARD if direction == "forward" else _BACKWARD
    function.argtypes = types
    function.restype = None
    return function


def threads_for(elements: int) -> int:
    """How many threads a pass over so many elements is worth."""
    return torch.get_num_threads() if elements >= PARALLEL_FROM else 1


def _forward_cpu(
    x: Tensor, v0: Tensor, tau: Tensor, v_threshold: float, v_reset: float | None,
    surrogate: int, surrogate_param: float, detach: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    steps, neurons = x.shape[0], v0.numel()
    (x, x_step), (v0, v0_step) = rows(x), elements(v0)
    spikes = torch.empty(x.shape, dtype=x.dtype)
    v = torch.empty(v0.shape, dtype=v0.dtype)
    _kernel("forward", x.dtype)(
        x.data_ptr(), x_step, v0.data_ptr(), v0_step, spikes.data_ptr(), v.data_ptr(),
        steps, neurons, tau.item(), v_threshold, v_reset or 0.0,
        v_reset is None, threads_for(x.numel()),
    )  # fmt: skip
    return spikes, v


def _backward_cpu(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, tau: Tensor, v_threshold: float,
    v_reset: float | None, surrogate: int, surrogate_param: float, detach: bool, rest: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    steps, neurons = x.shape[0], v0.numel()
    gs, (gv, gv_step) = gs.contiguous(), elements(gv)
    (x, x_step), (v0, v0_step) = rows(x), elements(v0)
    threads = threads_for(x.numel())
    fitting = max(16, SCRATCH_BYTES // (x.element_size() * steps))
    block = max(1, min(MOST_BLOCK, fitting, -(-neurons // threads)))
    scratch = torch.empty(threads * steps * block, dtype=x.dtype)
    gx, gv0, gtau = (torch.empty(shape, dtype=x.dtype) for shape in _shapes(x, v0, rest))
    _kernel("backward", x.dtype)(
        gs.data_ptr(), gv.data_ptr(), gv_step, x.data_ptr(), x_step, v0.data_ptr(), v0_step,
        scratch.data_ptr(), block, gx.data_ptr(), gv0.data_ptr() if rest else 0,
        gtau.data_ptr() if rest else 0, steps, neurons,
        tau.item(), v_threshold, v_reset or 0.0, surrogate_param,
        v_reset is None, surrogate, detach, threads,
    )  # fmt: skip
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
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, tau: Tensor, v_threshold: float,
    v_reset: float | None, surrogate: int, surrogate_param: float, detach: bool, rest: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    gx, gv0, gtau = (x.new_empty(shape) for shape in _shapes(x, v0, rest))
    return gx, gv0, gtau


torch.library.register_fake("tempreg::lif_forward")(_forward_shapes)
torch.library.register_fake("tempreg::lif_backward")(_backward_shapes)
assert list(DERIVATIVES) == ["triangle", "sigmoid", "atan", "rectangle"], "kernels/lif_body.h"
