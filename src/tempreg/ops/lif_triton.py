"""LIF on CUDA: launches of the kernels in `lif_triton_kernels`, as operators of torch.

Each pass is one launch, and none waits for the device. Where the input has half precision, so have
spikes and its gradient; see there for what is read, written and kept.

Traffic, in elements of x: ReLU reads and writes 5 a step and neuron, forward and backward. So does
LIF up to UNROLLED timesteps; beyond, what is kept adds 2 (ceil(T / CHUNK) - 1) / T, in float32.
"""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from tempreg.ops.layout import order, planes, same_order
from tempreg.ops.lif_triton_kernels import CHUNK, UNROLLED, backward_kernel, forward_kernel
from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import SURROGATE_CODES

PLAIN = True
"""x may have any dtype, v0 may be None for zeros, tau a number; see `dispatch.lif`."""
KEEPS = True
"""`forward` can keep states for `backward`; see `lif_autograd.LIFFunction`."""

LAUNCH = {"num_warps": 4, "enable_fp_fusion": False}


def _common(x: Tensor, tau: Tensor | None, fixed: float, spec: LIFSpec) -> dict[str, Any]:
    """Compile-time arguments that both kernels take."""
    number = None if tau is not None else fixed
    return {
        "STEPS": len(x) if len(x) <= UNROLLED else None,
        "TAU": number,
        "LAYER": layer(spec, number),
        "STATE": tl.float64 if x.dtype == torch.float64 else tl.float32,
        "BLOCK": block(x.dtype),
        "CHUNK": CHUNK,
        **LAUNCH,
    }


def layer(spec: LIFSpec, tau: float | None) -> tuple[Any, ...]:
    """The constants of a layer as the kernels take them, see `lif_triton_parts`."""
    threshold, reset, surrogate, parameter, detach = spec
    inverse = None
    if tau is not None and math.frexp(tau)[0] == 0.5:
        inverse = 1.0 / tau  # of a power of two, whose product is the quotient, rounding and all
    return threshold, reset, parameter, SURROGATE_CODES[surrogate], detach, inverse


def block(dtype: torch.dtype) -> int:
    """Neurons a program takes: four a thread, or two of float64, that load as one."""
    return 256 if dtype == torch.float64 else 512


def forward(
    x: Tensor,
    v0: Tensor | None,
    tau: Tensor | float,
    spec: LIFSpec,
    last: bool = True,
    keep: bool = False,
) -> tuple[Tensor, ...]:
    """Spikes and last state, which is empty where it isn't wanted; with `keep`, states besides,
    from which `backward` begins, empty where it needs none."""
    made: tuple[Tensor, ...] = torch.ops.tempreg.lif_triton_forward(
        x, v0, *_split(tau), last, keep, *spec
    )
    return made if keep else made[:2]


def backward(
    gs: Tensor,
    gv: Tensor | None,
    x: Tensor,
    v0: Tensor | None,
    tau: Tensor | float,
    spec: LIFSpec,
    rest: bool = True,
    kept: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """The gradient of x and, if asked for the `rest`, those of v0 and (by neuron) tau.

    Of a v0 or a tau that is no tensor there is none: it is empty. Without what `forward` has
    `kept`, it is run once more, where that is needed.
    """
    gx, gv0, gtau = torch.ops.tempreg.lif_triton_backward(
        gs, gv, x, v0, *_split(tau), rest, kept, *spec
    )
    return (gx, gv0, gtau) if rest else (gx,)


def _split(tau: Tensor | float) -> tuple[Tensor | None, float]:
    return (tau, 0.0) if isinstance(tau, Tensor) else (None, tau)


def _launch_forward(
    x: Tensor,
    v0: Tensor | None,
    tau: Tensor | None,
    fixed: float,
    last: bool,
    keep: bool,
    *spec: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    s, v, kept = _forward_results(x, v0, tau, fixed, last, keep, *spec)
    x, x_step = planes(x)
    neurons = x[0].numel()
    keywords = _common(x, tau, fixed, LIFSpec(*spec))
    with torch.cuda.device_of(x):  # Triton launches on the current device
        forward_kernel[(triton.cdiv(neurons, keywords["BLOCK"]),)](
            x,
            _ordered(v0, x),
            tau,
            s,
            v if last else None,
            kept if kept.numel() else None,
            len(x),
            neurons,
            x_step,
            **keywords,
        )
    return s, v, kept


def _launch_backward(
    gs: Tensor,
    gv: Tensor | None,
    x: Tensor,
    v0: Tensor | None,
    tau: Tensor | None,
    fixed: float,
    rest: bool,
    kept: Tensor | None,
    *spec: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    gx, gv0, gtau = _backward_results(gs, gv, x, v0, tau, fixed, rest, kept, *spec)
    if kept is None and len(x) > UNROLLED:
        kept = _launch_forward(x, v0, tau, fixed, False, True, *spec)[2]
    x, x_step = planes(x)
    gs, g_step = _ordered_in_time(gs, x)
    neurons = x[0].numel()
    keywords = _common(x, tau, fixed, LIFSpec(*spec))
    with torch.cuda.device_of(x):
        backward_kernel[(triton.cdiv(neurons, keywords["BLOCK"]),)](
            gs,
            _ordered(gv, x),
            x,
            _ordered(v0, x),
            tau,
            gx,
            gv0 if gv0.shape == x.shape[1:] else None,
            gtau if gtau.shape == x.shape[1:] else None,
            kept if keywords["STEPS"] is None else None,
            len(x),
            neurons,
            x_step,
            g_step,
            **keywords,
        )
    return gx, gv0, gtau


def _state(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _ordered(v: Tensor | None, x: Tensor) -> Tensor | None:
    """v [*N] with its elements in memory as those of a timestep of x; None stays None."""
    if v is None or same_order(v, x.shape[1:], x.stride()[1:]):
        return v
    return torch.empty_strided(v.shape, x.stride()[1:], dtype=v.dtype, device=v.device).copy_(v)


def _ordered_in_time(gs: Tensor, x: Tensor) -> tuple[Tensor, int]:
    """gs [T, *N] likewise, and the elements from one timestep to the next."""
    if same_order(gs[0], x.shape[1:], x.stride()[1:]):
        return gs, gs.stride(0)
    ordered = _in_time(x).copy_(gs)
    return ordered, ordered.stride(0)


def _in_time(x: Tensor) -> Tensor:
    """A new tensor like x [T, *N], timestep after timestep, each in memory as `planes` has it."""
    strides = (x.shape[1:].numel(), *order(x))
    return torch.empty_strided(x.shape, strides, dtype=x.dtype, device=x.device)


def _of_a_step(x: Tensor, wanted: bool) -> Tensor:
    """A new tensor for a state [*N], in memory as a timestep of x; empty where it isn't wanted."""
    if not wanted:
        return x.new_empty((0,), dtype=_state(x.dtype))
    return torch.empty_strided(x.shape[1:], order(x), dtype=_state(x.dtype), device=x.device)


def _forward_results(
    x: Tensor,
    v0: Tensor | None,
    tau: Tensor | None,
    fixed: float,
    last: bool,
    keep: bool,
    *_: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    chunks = -(-len(x) // CHUNK) - 1 if keep and len(x) > UNROLLED else 0
    kept = x.new_empty((chunks, x.shape[1:].numel()), dtype=_state(x.dtype))
    return _in_time(x), _of_a_step(x, last), kept


def _backward_results(
    gs: Tensor,
    gv: Tensor | None,
    x: Tensor,
    v0: Tensor | None,
    tau: Tensor | None,
    fixed: float,
    rest: bool,
    *_: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    of_v0, of_tau = (_of_a_step(x, rest and given is not None) for given in (v0, tau))
    return _in_time(x), of_v0, of_tau


# Operators that torch.compile does not look into. As bare launches it would compile the
# kernels itself, without enable_fp_fusion=False, and stop at the device guard.
_library = torch.library.Library("tempreg", "FRAGMENT")
_TENSORS = "Tensor x, Tensor? v0, Tensor? tau, float fixed"
_SPEC = "float v_threshold, float? v_reset, str surrogate, float surrogate_param, bool detach"
_library.define(
    f"lif_triton_forward({_TENSORS}, bool last, bool keep, {_SPEC}) -> (Tensor, Tensor, Tensor)"
)
_library.define(
    f"lif_triton_backward(Tensor gs, Tensor? gv, {_TENSORS}, bool rest, Tensor? kept, {_SPEC})"
    " -> (Tensor, Tensor, Tensor)"
)
for _key in ("CUDA", "CPU"):  # on CPU tensors Triton's interpreter runs them
    _library.impl("lif_triton_forward", _launch_forward, _key)
    _library.impl("lif_triton_backward", _launch_backward, _key)
torch.library.register_fake("tempreg::lif_triton_forward")(_forward_results)
torch.library.register_fake("tempreg::lif_triton_backward")(_backward_results)
