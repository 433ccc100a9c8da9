"""LIF as two Triton kernels; `lif_triton` launches them.

They compute what `lif_eager` computes; see there for the equations and the shapes, and
kernels/lif_body.h for the same kernels in C. A program takes BLOCK neurons through all
timesteps, so that v stays in registers. As in C, the spikes are those of the equations, bit
for bit: divisions by tau round correctly, and nothing is fused into an FMA.

What moves is what ReLU moves: x comes in and spikes go out in x's own dtype, half precision
included, while v and gradients over time are float32 (float64 for float64). Up to UNROLLED
timesteps are a compile-time constant: the backward pass keeps h of all of them in registers. More
are a loop: where a gradient may be asked for, the forward pass keeps v before every CHUNK-th
timestep in memory, from which the backward pass computes h again in registers, so that it reads x
once. v0 of zeros, the last state, and the gradients of v0 and tau that nobody asks for are neither
read nor written. A
timestep may lie in memory in any dense order, channels last included; x that repeats over time
(stride 0, as `expand` makes) is read in place.

The constants of the layer are compile-time constants: a float argument would reach the kernel as
a float32, which is too few digits for float64 states, while a `constexpr` float takes the
type of the tensor it meets, as a number in torch does. So is tau where it isn't trained: dividing
by a power of two is the product with its inverse, the same number. One compilation a `LIFSpec`,
tau and T (kept on disk) is the price, and one for N that 16 divides, whose loads are wide.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, assignment"
# ruff: noqa: RUF005 - Triton's compiler doesn't know the star

from __future__ import annotations

import triton
import triton.language as tl

from tempreg.ops.lif_triton_parts import (
    current_gradient,
    decayed,
    loaded,
    loaded_or_zero,
    number,
    reset,
    spike,
)

UNROLLED = 10
"""Timesteps up to which the backward pass has registers for h of all of them."""
CHUNK = 8
"""Timesteps of a longer sequence that are computed again at once, in registers."""


# Addresses step from one timestep to the next instead of being computed as t * N, which would
# overflow 32 bits where T * N does. What comes next is asked for before what has come is used.
@triton.jit
def _forth_unrolled(x, s, v, tau, mask, N, x_step, LAYER: tl.constexpr, STEPS: tl.constexpr):
    """The last state, with spikes written."""
    currents = ()
    for _ in tl.static_range(STEPS):
        currents = currents + (loaded(x, mask, v.dtype),)
        x += x_step
    for t in tl.static_range(STEPS):
        h = decayed(v, tau, LAYER) + currents[t]
        fired = spike(h, LAYER)
        tl.store(s, fired.to(s.dtype.element_ty), mask=mask)
        v = reset(h, fired, LAYER)
        s += N
    return v


@triton.jit
def _forth(x, s, kept, v, tau, mask, T, N, x_step, LAYER: tl.constexpr, CHUNK: tl.constexpr):
    """The same for any T, with v before every chunk but the first written to `kept`, if it is."""
    current = loaded(x, mask, v.dtype)
    for t in range(T):
        if kept is not None:  # noqa: SIM102 - known to the compiler, unlike the other condition
            if (t % CHUNK == 0) & (t > 0):
                tl.store(kept, v, mask=mask)
                kept += N
        x += x_step
        ahead = loaded(x, mask & (t + 1 < T), v.dtype)
        h = decayed(v, tau, LAYER) + current
        fired = spike(h, LAYER)
        tl.store(s, fired.to(s.dtype.element_ty), mask=mask)
        v = reset(h, fired, LAYER)
        s += N
        current = ahead
    return v


@triton.jit(do_not_specialize=["T"])
def forward_kernel(
    x,
    v0,
    tau,
    s,
    v_last,
    kept,
    T,
    N,
    x_step,
    STEPS: tl.constexpr,
    TAU: tl.constexpr,
    LAYER: tl.constexpr,
    STATE: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """See `lif_eager.forward`; v0 and v_last may be None, and tau where TAU is a number.

    STEPS is T where that is unrolled, else None; LAYER: see `lif_triton_parts`. `kept`
    [ceil(T / CHUNK) - 1, N] is None where STEPS isn't, or nobody will ask for a gradient.
    """
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = n < N
    by = number(tau, TAU, STATE)
    v = loaded_or_zero(v0, n, mask, BLOCK, STATE)
    if STEPS is not None:
        v = _forth_unrolled(x + n, s + n, v, by, mask, N, x_step, LAYER, STEPS)
    else:
        if kept is not None:
            kept += n
        v = _forth(x + n, s + n, kept, v, by, mask, T, N, x_step, LAYER, CHUNK)
    if v_last is not None:
        tl.store(v_last + n, v, mask=mask)


@triton.jit
def once_more(
    currents, v, tau, LAYER: tl.constexpr, STEPS: tl.constexpr, ONCE: tl.constexpr = False
):
    """h[t] and v[t-1] / tau of all these currents, as tuples; ONCE: of one current at all steps."""
    hs = ()
    befores = ()
    for t in tl.static_range(STEPS):
        before = decayed(v, tau, LAYER)
        h = before + currents[0 if ONCE else t]
        hs = hs + (h,)
        befores = befores + (before,)
        v = reset(h, spike(h, LAYER), LAYER)
    return hs, befores


@triton.jit
def _back_unrolled(
    gs,
    x,
    gx,
    v,
    g,
    tau,
    mask,
    N,
    x_step,
    g_step,
    LAYER: tl.constexpr,
    STEPS: tl.constexpr,
    OF_TAU: tl.constexpr,
):
    """The gradients of v0 and tau; h of all timesteps stays in registers."""
    g_tau = tl.zeros_like(v)
    currents = ()
    for _ in tl.static_range(STEPS):
        currents = currents + (loaded(x, mask, v.dtype),)
        x += x_step
        gs += g_step
        gx += N
    gs -= g_step
    upstream = loaded(gs, mask, v.dtype)
    hs, befores = once_more(currents, v, tau, LAYER, STEPS)
    for i in tl.static_range(STEPS):
        ahead = upstream
        if i + 1 < STEPS:
            gs -= g_step
            ahead = loaded(gs, mask, v.dtype)
        gx -= N
        gh = current_gradient(upstream, g, hs[STEPS - 1 - i], LAYER)
        tl.store(gx, gh.to(gx.dtype.element_ty), mask=mask)
        g = decayed(gh, tau, LAYER)
        if OF_TAU:
            g_tau -= g * befores[STEPS - 1 - i]
        upstream = ahead
    return g, g_tau


@triton.jit
def _back_in_chunks(
    gs,
    x,
    gx,
    kept,
    v0,
    n,
    g,
    tau,
    mask,
    T,
    N,
    x_step,
    g_step,
    LAYER: tl.constexpr,
    CHUNK: tl.constexpr,
    OF_TAU: tl.constexpr,
):
    """The same for any T, of the neurons n, with v before every chunk but the first in `kept`.

    What steps is the address of neuron 0. Where the addresses of all n do, Triton hands them from
    thread to thread for each wide load, through shared memory, with a barrier.
    """
    g_tau = tl.zeros_like(g)
    chunks = (T + CHUNK - 1) // CHUNK
    far = chunks.to(tl.int64)
    x += far * CHUNK * x_step  # to the end of the last one
    gs += far * CHUNK * g_step
    gx += far * CHUNK * N
    kept += (far - 1) * N
    for c in range(chunks):
        left = T - (chunks - 1 - c) * CHUNK  # timesteps from this chunk's first one to the end
        kept -= N
        for _back in tl.static_range(CHUNK):
            x -= x_step
        currents = ()
        at = x
        for k in tl.static_range(CHUNK):
            currents = currents + (loaded(at + n, mask & (k < left), g.dtype),)
            at += x_step
        later = c + 1 < chunks
        v = tl.load(kept + n, mask=mask & later, other=0.0)
        if v0 is not None:
            v = tl.where(later, v, tl.load(v0 + n, mask=mask & (c + 1 == chunks), other=0.0))
        hs, befores = once_more(currents, v, tau, LAYER, CHUNK)
        for i in tl.static_range(CHUNK):
            gs -= g_step
            gx -= N
            inside = CHUNK - 1 - i < left
            upstream = loaded(gs + n, mask & inside, g.dtype)
            gh = current_gradient(upstream, g, hs[CHUNK - 1 - i], LAYER)
            tl.store(gx + n, gh.to(gx.dtype.element_ty), mask=mask & inside)
            gh = decayed(gh, tau, LAYER)
            if OF_TAU:
                g_tau -= tl.where(inside, gh * befores[CHUNK - 1 - i], 0.0)
            g = tl.where(inside, gh, g)
    return g, g_tau


@triton.jit(do_not_specialize=["T"])
def backward_kernel(
    gs,
    gv,
    x,
    v0,
    tau,
    gx,
    gv0,
    gtau,
    kept,
    T,
    N,
    x_step,
    g_step,
    STEPS: tl.constexpr,
    TAU: tl.constexpr,
    LAYER: tl.constexpr,
    STATE: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """See `lif_eager.backward`; gv, v0, gv0 and gtau may be None, and tau where TAU is a number.

    `kept` is what `forward_kernel` wrote there, None where STEPS isn't.
    """
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = n < N
    by = number(tau, TAU, STATE)
    g = loaded_or_zero(gv, n, mask, BLOCK, STATE)
    OF_TAU: tl.constexpr = gtau is not None
    if STEPS is not None:
        v = loaded_or_zero(v0, n, mask, BLOCK, STATE)
        g, g_tau = _back_unrolled(
            gs + n, x + n, gx + n, v, g, by, mask, N, x_step, g_step, LAYER, STEPS, OF_TAU
        )
    else:
        g, g_tau = _back_in_chunks(
            gs, x, gx, kept, v0, n, g, by, mask, T, N, x_step, g_step, LAYER, CHUNK, OF_TAU
        )
    if gv0 is not None:
        tl.store(gv0 + n, g, mask=mask)
    if gtau is not None:
        tl.store(gtau + n, g_tau, mask=mask)
