"""LIF through two Triton kernels: the compiled backend on CUDA.

They compute what `lif_eager` computes; see there for the equations and the shapes, and
kernels/lif_body.h for the same kernels in C. A program takes BLOCK neurons through all
timesteps, so that v stays in registers. As in C, the spikes are those of the equations, bit
for bit: both divisions by tau round correctly, and nothing is fused into an FMA.

No launch waits for the device, and the backward pass needs no scratch memory: gx serves. T, N
and the addresses are plain arguments, so that another sequence length or batch size compiles
nothing anew. x that repeats over time (stride 0, as `expand` makes) is read in place. The
constants of the layer are compile-time constants: a float argument would reach the kernel as
a float32, which is too few digits for float64 states, while a `constexpr` float takes the
type of the tensor it meets, as a number in torch does. One compilation a `LIFSpec` (kept on
disk) is the price. tau may be trained, and is read from its 0-d tensor.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from tempreg.ops.layout import rows
from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import DERIVATIVES, SURROGATE_CODES

BLOCK = 256
"""Neurons a program takes: two a thread, next to each other in memory for a warp."""
LAUNCH = {"BLOCK": BLOCK, "num_warps": 4, "enable_fp_fusion": False}

assert list(DERIVATIVES) == ["triangle", "sigmoid", "atan", "rectangle"], "_phi"


@triton.jit
def _divide(a, b):
    """a / b, correctly rounded: `/` is so for float64 only, and div_rn takes float32 only."""
    if a.dtype == tl.float64:
        return a / b
    else:
        return tl.div_rn(a, b)


@triton.jit
def _phi(u, P: tl.constexpr, SURROGATE: tl.constexpr):
    """The surrogate derivative, as in lif_body.h; `/` (2 ulp in float32) will do in a gradient."""
    a = tl.abs(u)
    if SURROGATE == 0:  # triangle; not tl.maximum, which may drop a NaN
        d = P - a
        return tl.where(d < 0, 0.0, d) / (P * P)
    elif SURROGATE == 1:  # sigmoid: sig(z) sig(-z) = e / (1 + e)^2 with e = exp(-|z|)
        e = tl.exp(-P * a)
        return P * e / ((1.0 + e) * (1.0 + e))
    elif SURROGATE == 2:  # atan
        z = (1.57079632679489661923 * P) * u
        return (0.5 * P) / (1.0 + z * z)
    else:  # rectangle; NaN stays NaN
        return tl.where(u != u, u, (a < 0.5 * P).to(u.dtype) / P)


@triton.jit
def _spike(h, V_TH: tl.constexpr):
    return tl.where(h != h, h, (h > V_TH).to(h.dtype))  # NaN stays NaN


@triton.jit
def _reset(h, s, V_TH: tl.constexpr, V_RESET: tl.constexpr):
    if V_RESET is None:
        return h - s * V_TH
    else:
        return (1.0 - s) * h + s * V_RESET


# The kernels step their addresses from one timestep to the next instead of computing t * N,
# which would overflow 32 bits where T * N does.
@triton.jit(do_not_specialize=["x", "v0", "tau", "s", "v_last", "T", "N", "x_step"])
def _forward_kernel(
    x, v0, tau, s, v_last, T, N, x_step,
    V_TH: tl.constexpr, V_RESET: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = n < N
    x, s = x + n, s + n
    decay = tl.load(tau)
    v = tl.load(v0 + n, mask=mask, other=0.0)
    for _ in range(T):
        h = _divide(v, decay) + tl.load(x, mask=mask, other=0.0)
        spike = _spike(h, V_TH)
        tl.store(s, spike, mask=mask)
        v = _reset(h, spike, V_TH, V_RESET)
        x += x_step
        s += N
    tl.store(v_last + n, v, mask=mask)


@triton.jit(
    do_not_specialize=["gs", "gv", "x", "v0", "tau", "gx", "gv0", "gtau", "T", "N", "x_step"]
)
def _backward_kernel(
    gs, gv, x, v0, tau, gx, gv0, gtau, T, N, x_step,
    V_TH: tl.constexpr, V_RESET: tl.constexpr, P: tl.constexpr, SURROGATE: tl.constexpr,
    DETACH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = n < N
    x, gs, gx = x + n, gs + n, gx + n
    decay = tl.load(tau)
    # Forward once more: gx[t] keeps v[t-1] until the gradient takes its place.
    v = tl.load(v0 + n, mask=mask, other=0.0)
    for _ in range(T):
        tl.store(gx, v, mask=mask)
        h = _divide(v, decay) + tl.load(x, mask=mask, other=0.0)
        v = _reset(h, _spike(h, V_TH), V_TH, V_RESET)
        x += x_step
        gs += N
        gx += N
    # Nothing promises that the thread which stored an element is the one to load it.
    tl.debug_barrier()
    g = tl.load(gv + n, mask=mask, other=0.0)
    g_tau = tl.zeros_like(g)
    for _ in range(T):
        x -= x_step
        gs -= N
        gx -= N
        decayed = _divide(tl.load(gx, mask=mask, other=0.0), decay)
        h = decayed + tl.load(x, mask=mask, other=0.0)
        phi = _phi(h - V_TH, P, SURROGATE)
        dv_dh = tl.full([BLOCK], 1.0, phi.dtype)
        if V_RESET is not None:
            dv_dh -= _spike(h, V_TH)
        if not DETACH:
            if V_RESET is None:
                dv_dh -= V_TH * phi
            else:
                dv_dh += (V_RESET - h) * phi
        gh = tl.load(gs, mask=mask, other=0.0) * phi + g * dv_dh
        tl.store(gx, gh, mask=mask)
        g = _divide(gh, decay)
        g_tau -= g * decayed
    tl.store(gv0 + n, g, mask=mask)
    tl.store(gtau + n, g_tau, mask=mask)


def forward(x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec) -> tuple[Tensor, Tensor]:
    """Spikes and last state."""
    spikes, v = torch.ops.tempreg.lif_triton_forward(x, v0, tau, *spec)
    return spikes, v


def backward(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec, rest: bool = True
) -> tuple[Tensor, ...]:
    """The gradient of x and, if asked for the `rest`, those of v0 and (by neuron) tau."""
    gx, gv0, gtau = torch.ops.tempreg.lif_triton_backward(gs, gv, x, v0, tau, *spec)
    return (gx, gv0, gtau) if rest else (gx,)


def _launch_forward(x: Tensor, v0: Tensor, tau: Tensor, *constants: Any) -> tuple[Tensor, Tensor]:
    spec, (s, v) = LIFSpec(*constants), _forward_results(x, v0)
    x_rows, x_step = rows(x)
    with torch.cuda.device_of(x):  # Triton launches on the current device
        _forward_kernel[(triton.cdiv(v0.numel(), BLOCK),)](
            x_rows, v0.contiguous(), tau, s, v, x.shape[0], v0.numel(), x_step,
            V_TH=spec.v_threshold, V_RESET=spec.v_reset, **LAUNCH,
        )  # fmt: skip
    return s, v


def _launch_backward(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, tau: Tensor, *constants: Any
) -> tuple[Tensor, Tensor, Tensor]:
    spec, (gx, gv0, gtau) = LIFSpec(*constants), _backward_results(gs, gv, x, v0)
    x_rows, x_step = rows(x)
    with torch.cuda.device_of(x):
        _backward_kernel[(triton.cdiv(v0.numel(), BLOCK),)](
            gs.contiguous(), gv.contiguous(), x_rows, v0.contiguous(), tau, gx, gv0, gtau,
            x.shape[0], v0.numel(), x_step, V_TH=spec.v_threshold, V_RESET=spec.v_reset,
            P=spec.surrogate_param, SURROGATE=SURROGATE_CODES[spec.surrogate],
            DETACH=spec.detach_reset, **LAUNCH,
        )  # fmt: skip
    return gx, gv0, gtau


def _forward_results(x: Tensor, v0: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), v0.new_empty(v0.shape)


def _backward_results(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, *_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), v0.new_empty(v0.shape), v0.new_empty(v0.shape)


# Operators that torch.compile does not look into. As bare launches it would compile the
# kernels itself, without enable_fp_fusion=False, and stop at the device guard.
_library = torch.library.Library("tempreg", "FRAGMENT")
_SPEC = "float v_threshold, float? v_reset, str surrogate, float surrogate_param, bool detach"
_library.define(f"lif_triton_forward(Tensor x, Tensor v0, Tensor tau, {_SPEC}) -> (Tensor, Tensor)")
_library.define(
    f"lif_triton_backward(Tensor gs, Tensor gv, Tensor x, Tensor v0, Tensor tau, {_SPEC})"
    " -> (Tensor, Tensor, Tensor)"
)
for _key in ("CUDA", "CPU"):  # on CPU tensors Triton's interpreter runs them
    _library.impl("lif_triton_forward", _launch_forward, _key)
    _library.impl("lif_triton_backward", _launch_backward, _key)
torch.library.register_fake("tempreg::lif_triton_forward")(_forward_results)
torch.library.register_fake("tempreg::lif_triton_backward")(_backward_results)
