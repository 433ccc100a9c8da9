"""LIF on CUDA: launches of the kernels in `lif_triton_kernels`, as operators of torch.

Each pass is one launch, and none waits for the device. Where the input has half precision, so have
spikes and its gradient; see there for what is read, written and kept.

Traffic, in elements of x: ReLU reads and writes 5 a step and neuron, forward and backward. So does
LIF up to UNROLLED timesteps; beyond, what is kept adds 2 (ceil(T / CHUNK) - 1) / T, in float32.
"""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, final

import torch
import triton
import triton.language as tl
from torch import Tensor

from tempreg.ops.layout import order, planes, same_order
from tempreg.ops.lif_triton_kernels import CHUNK, UNROLLED, backward_kernel, forward_kernel
from tempreg.ops.spec import LIFSpec, split_tau
from tempreg.surrogate import SURROGATE_CODES

PLAIN = True
"""x may have any dtype, v0 may be None for zeros, tau a number; see `dispatch.lif`."""
KEEPS = True
"""`forward` can keep states for `backward`; see `lif_autograd.LIFFunction`."""

LAUNCH = {"num_warps": 4, "enable_fp_fusion": False}
Made = tuple[Tensor, Tensor, Tensor]


@final
class _Given(NamedTuple):
    """What both passes are given, as `forward` is; tau is None where it is the number `fixed`."""

    x: Tensor
    v0: Tensor | None
    tau: Tensor | None
    fixed: float
    spec: LIFSpec

    @property
    def constants(self) -> dict[str, Any]:
        """Compile-time arguments that both kernels take."""
        number = None if self.tau is not None else self.fixed
        return {
            "STEPS": len(self.x) if len(self.x) <= UNROLLED else None,
            "TAU": number,
            "LAYER": layer(self.spec, number),
            "STATE": tl.float64 if self.x.dtype == torch.float64 else tl.float32,
            "BLOCK": block(self.x.dtype),
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
        x, v0, *split_tau(tau), *spec, last, keep
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
        x, v0, *split_tau(tau), *spec, gs, gv, rest, kept
    )
    return (gx, gv0, gtau) if rest else (gx,)


def _launch_forward(given: _Given, made: Made, last: bool, keep: bool) -> None:
    s, v, kept = made
    x, x_step = planes(given.x)
    neurons, keywords = x[0].numel(), given.constants
    with torch.cuda.device_of(x):  # Triton launches on the current device
        forward_kernel[(triton.cdiv(neurons, keywords["BLOCK"]),)](
            x,
            _ordered(given.v0, x),
            given.tau,
            s,
            v if last else None,
            kept if kept.numel() else None,
            len(x),
            neurons,
            x_step,
            **keywords,
        )


def _launch_backward(
    given: _Given, made: Made, gs: Tensor, gv: Tensor | None, rest: bool, kept: Tensor | None
) -> None:
    gx, gv0, gtau = made
    if kept is None and len(given.x) > UNROLLED:
        again = _forward_results(given, False, True)
        _launch_forward(given, again, False, True)
        kept = again[2]
    x, x_step = planes(given.x)
    gs, g_step = _ordered_in_time(gs, x)
    neurons, keywords = x[0].numel(), given.constants
    with torch.cuda.device_of(x):
        backward_kernel[(triton.cdiv(neurons, keywords["BLOCK"]),)](
            gs,
            _ordered(gv, x),
            x,
            _ordered(given.v0, x),
            given.tau,
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


def _forward_results(given: _Given, last: bool, keep: bool) -> Made:
    x = given.x
    chunks = -(-len(x) // CHUNK) - 1 if keep and len(x) > UNROLLED else 0
    kept = x.new_empty((chunks, x.shape[1:].numel()), dtype=_state(x.dtype))
    return _in_time(x), _of_a_step(x, last), kept


def _backward_results(given: _Given, gs: Tensor, gv: Tensor | None, rest: bool, *_: Any) -> Made:
    x = given.x
    of_v0, of_tau = (_of_a_step(x, rest and one is not None) for one in (given.v0, given.tau))
    return _in_time(x), of_v0, of_tau


_library = torch.library.Library("tempreg", "FRAGMENT")
_GIVEN = (
    "Tensor x, Tensor? v0, Tensor? tau, float fixed, "
    "float v_threshold, float? v_reset, str surrogate, float surrogate_param, bool detach"
)


def _operator(
    name: str, more: str, results: Callable[..., Made], launch: Callable[..., None]
) -> None:
    """An operator that torch.compile does not look into. As bare launches it would compile the
    kernels itself, without enable_fp_fusion=False, and stop at the device guard."""
    _library.define(f"{name}({_GIVEN}, {more}) -> (Tensor, Tensor, Tensor)")

    def unpacked(flat: tuple[Any, ...]) -> tuple[_Given, tuple[Any, ...]]:
        x, v0, tau, fixed, *others = flat
        constants, rest = others[: len(LIFSpec._fields)], others[len(LIFSpec._fields) :]
        return _Given(x, v0, tau, fixed, LIFSpec(*constants)), tuple(rest)

    def made(*flat: Any) -> Made:
        given, others = unpacked(flat)
        return results(given, *others)

    def run(*flat: Any) -> Made:
        found = made(*flat)
        given, others = unpacked(flat)
        launch(given, found, *others)
        return found

    for key in ("CUDA", "CPU"):  # on CPU tensors Triton's interpreter runs it
        _library.impl(name, run, key)
    torch.library.register_fake(f"tempreg::{name}")(made)


_operator("lif_triton_forward", "bool last, bool keep", _forward_results, _launch_forward)
_operator(
    "lif_triton_backward",
    "Tensor gs, Tensor? gv, bool rest, Tensor? kept",
    _backward_results,
    _launch_backward,
)
