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
from tempreg.ops.layout import rows
from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import DERIVATIVES, SURROGATE_CODES

SCRATCH_BYTES = 128 * 1024
"""A thread's room for the membrane potentials of one block: it should fit a level-2 cache."""
PARALLEL_FROM = 32_768
"""Elements below which starting threads costs more than it saves."""
_SUFFIX = {torch.float32: "float", torch.float64: "double"}
_POINTER, _INT, _LONG, _DOUBLE = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_double
_FORWARD = [_POINTER, _LONG, *[_POINTER] * 3, *[_LONG] * 2, *[_DOUBLE] * 3, *[_INT] * 2]
_BACKWARD = [
    *[_POINTER] * 3, _LONG, *[_POINTER] * 2, _LONG, *[_POINTER] * 2,
    *[_LONG] * 2, *[_DOUBLE] * 4, *[_INT] * 4,
]  # fmt: skip

_library = torch.library.Library("tempreg", "DEF")
_SPEC = "float v_threshold, float? v_reset, int surrogate, float surrogate_param, bool detach"
_library.define(f"lif_forward(Tensor x, Tensor v0, Tensor tau, {_SPEC}) -> (Tensor, Tensor)")
_library.define(
    f"lif_backward(Tensor gs, Tensor gv, Tensor x, Tensor v0, Tensor tau, {_SPEC})"
    " -> (Tensor, Tensor, Tensor)"
)


def forward(x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec) -> tuple[Tensor, Tensor]:
    """Spikes and last state."""
    spikes, v = torch.ops.tempreg.lif_forward(x, v0, tau, *_coded(spec))
    return spikes, v


def backward(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, v0 and (by neuron) tau."""
    gx, gv0, gtau = torch.ops.tempreg.lif_backward(gs, gv, x, v0, tau, *_coded(spec))
    return gx, gv0, gtau


def _coded(spec: LIFSpec) -> tuple[float, float | None, int, float, bool]:
    return spec._replace(surrogate=SURROGATE_CODES[spec.surrogate])  # type: ignore[arg-type, return-value]


@functools.cache
def _kernel(direction: str, dtype: torch.dtype) -> ctypes._NamedFuncPointer:
    function = cbuild.load("lif")[f"lif_{direction}_{_SUFFIX[dtype]}"]
    types: list[Any] = _FORWARD if direction == "forward" else _BACKWARD
    function.argtypes = types
    function.restype = None
    return function


def _threads(elements: int) -> int:
    return torch.get_num_threads() if elements >= PARALLEL_FROM else 1


def _forward_cpu(
    x: Tensor, v0: Tensor, tau: Tensor, v_threshold: float, v_reset: float | None,
    surrogate: int, surrogate_param: float, detach: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    steps, neurons = x.shape[0], v0.numel()
    x, x_step = rows(x)
    v0 = v0.contiguous()
    spikes = torch.empty(x.shape, dtype=x.dtype)
    v = torch.empty(v0.shape, dtype=v0.dtype)
    _kernel("forward", x.dtype)(
        x.data_ptr(), x_step, v0.data_ptr(), spikes.data_ptr(), v.data_ptr(), steps, neurons,
        tau.item(), v_threshold, v_reset or 0.0, v_reset is None, _threads(x.numel()),
    )  # fmt: skip
    return spikes, v


def _backward_cpu(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, tau: Tensor, v_threshold: float,
    v_reset: float | None, surrogate: int, surrogate_param: float, detach: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    steps, neurons = x.shape[0], v0.numel()
    x, x_step = rows(x)
    gs, v0 = gs.contiguous(), v0.contiguous()
    gv = gv.clone(memory_format=torch.contiguous_format)
    threads = _threads(x.numel())
    block = max(16, min(1024, SCRATCH_BYTES // (x.element_size() * steps) // 16 * 16))
    scratch = torch.empty(threads * steps * min(block, max(neurons, 1)), dtype=x.dtype)
    gx, gtau = torch.empty(gs.shape, dtype=x.dtype), torch.empty(v0.shape, dtype=x.dtype)
    _kernel("backward", x.dtype)(
        gs.data_ptr(), gv.data_ptr(), x.data_ptr(), x_step, v0.data_ptr(), scratch.data_ptr(),
        min(block, max(neurons, 1)), gx.data_ptr(), gtau.data_ptr(), steps, neurons,
        tau.item(), v_threshold, v_reset or 0.0, surrogate_param,
        v_reset is None, surrogate, detach, threads,
    )  # fmt: skip
    return gx, gv, gtau


_library.impl("lif_forward", _forward_cpu, "CPU")
_library.impl("lif_backward", _backward_cpu, "CPU")


def _forward_shapes(x: Tensor, v0: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), v0.new_empty(v0.shape)


def _backward_shapes(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, *_: object
) -> tuple[Tensor, Tensor, Tensor]:
    return gs.new_empty(gs.shape), v0.new_empty(v0.shape), v0.new_empty(v0.shape)


torch.library.register_fake("tempreg::lif_forward")(_forward_shapes)
torch.library.register_fake("tempreg::lif_backward")(_backward_shapes)
assert list(DERIVATIVES) == ["triangle", "sigmoid", "atan", "rectangle"], "kernels/lif_body.h"
