"""Batch norm and LIF in one pass, as Triton kernels; `norm_triton` launches them.

They compute what `norm_c` computes; see `norm_lif` for the equations. x is a block of memory, step
after step. Within a step it is [rows, channels, inner]: images and places where the channels are
planes, or, with LAST (channels last), places of images, channels, and an `inner` of 1. A program
takes a tile [R, K] of one step or of the same neurons in all steps: rows, by neighbours in memory,
which are places of one channel, or with LAST channels. So a program's sum over a channel is one
number, written to a place of its own, and another kernel adds these up in a fixed order: the same
sums every time, and no atomics.

The normalised current is never stored. It is rounded to x's dtype, as if it were.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, assignment"
# ruff: noqa: RUF005 - Triton's compiler doesn't know the star

from __future__ import annotations

import triton
import triton.language as tl

from tempreg.ops.lif_triton_kernels import once_more
from tempreg.ops.lif_triton_parts import (
    current_gradient,
    decayed,
    loaded,
    number,
    reset,
    spike,
)
from tempreg.ops.norm_triton_parts import affine, of_channels, over_tile, tile


@triton.jit(do_not_specialize=["parts"])
def statistics_kernel(
    x,
    partial,
    rows,
    channels,
    inner,
    parts,
    STATE: tl.constexpr,
    LAST: tl.constexpr,
    R: tl.constexpr,
    K: tl.constexpr,
):
    """partial [4, channels, parts]: of each part of a channel how many values there are, their mean
    as far as STATE has digits, and what is left around it: the sum, and that of the squares. rows
    are those of all steps."""
    at, mask, channel, part = tile(rows, channels, inner, LAST, R, K)
    values = loaded(x + at, mask, STATE)
    count = over_tile(mask.to(STATE), LAST)
    middle = over_tile(values, LAST) / tl.where(count > 0, count, 1.0)
    away = tl.where(mask, values - middle[None, :] if LAST else values - middle, 0.0)
    place = partial + channel.to(tl.int64) * parts + part
    plane = parts.to(tl.int64) * channels
    tl.store(place, count, mask=channel < channels)
    tl.store(place + plane, middle, mask=channel < channels)
    tl.store(place + 2 * plane, over_tile(away, LAST), mask=channel < channels)
    tl.store(place + 3 * plane, over_tile(away * away, LAST), mask=channel < channels)


@triton.jit
def _part(at, plane, mask):
    """Of these parts: how many values, their mean, and the sum of squares around it; in float64."""
    count = tl.load(at, mask=mask, other=0.0).to(tl.float64)
    rest = tl.load(at + 2 * plane, mask=mask, other=0.0).to(tl.float64)
    off = rest / tl.where(mask, count, 1.0)
    middle = tl.load(at + plane, mask=mask, other=0.0).to(tl.float64) + off
    return count, middle, tl.load(at + 3 * plane, mask=mask, other=0.0).to(tl.float64) - rest * off


@triton.jit(do_not_specialize=["parts"])
def combined_kernel(
    partial,
    mean,
    var,
    running_mean,
    running_var,
    parts,
    channels,
    FACTOR: tl.constexpr,
    STATE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Mean and biased variance of the program's channel from its parts, in float64 (Chan, Golub and
    LeVeque 1983), and the running ones, if there are any, moved to them by FACTOR."""
    channel = tl.program_id(0)
    own = partial + channel.to(tl.int64) * parts
    plane = parts.to(tl.int64) * channels
    place = tl.arange(0, BLOCK)
    count = tl.zeros([BLOCK], tl.float64)
    total = tl.zeros([BLOCK], tl.float64)
    for first in range(0, parts, BLOCK):
        these, own_mean, _ = _part(own + first + place, plane, first + place < parts)
        count += these
        total += these * own_mean
    every = tl.sum(count, axis=0)
    middle = tl.sum(total, axis=0) / every
    squares = tl.zeros([BLOCK], tl.float64)
    for first in range(0, parts, BLOCK):
        these, own_mean, around = _part(own + first + place, plane, first + place < parts)
        away = own_mean - middle
        squares += around + these * away * away
    spread = tl.sum(squares, axis=0) / every
    tl.store(mean + channel, middle.to(STATE))
    tl.store(var + channel, spread.to(STATE))
    if running_mean is not None:
        kept = tl.load(running_mean + channel) * (1.0 - FACTOR)
        tl.store(running_mean + channel, kept + middle.to(STATE) * FACTOR)
        kept = tl.load(running_var + channel) * (1.0 - FACTOR)
        unbiased = (every / (every - 1.0) * FACTOR).to(STATE)
        tl.store(running_var + channel, kept + spread.to(STATE) * unbiased)


@triton.jit
def _currents(
    x,
    at,
    mask,
    alpha,
    beta,
    x_step,
    STATE: tl.constexpr,
    STEPS: tl.constexpr,
    ONCE: tl.constexpr,
):
    """x and the input current of all timesteps, as tuples; of one timestep where x has one."""
    xs = ()
    currents = ()
    COUNT: tl.constexpr = 1 if ONCE else STEPS
    for _ in tl.static_range(COUNT):
        values = loaded(x + at, mask, STATE)
        xs = xs + (values,)
        currents = currents + ((values * alpha + beta).to(x.dtype.element_ty).to(STATE),)
        x += x_step
    return xs, currents


@triton.jit
def forward_kernel(
    x,
    weight,
    bias,
    mean,
    var,
    s,
    rows,
    channels,
    inner,
    N,
    STEPS: tl.constexpr,
    ONCE: tl.constexpr,
    TAU: tl.constexpr,
    LAYER: tl.constexpr,
    NORM: tl.constexpr,
    STATE: tl.constexpr,
    LAST: tl.constexpr,
    R: tl.constexpr,
    K: tl.constexpr,
):
    """Spikes of all timesteps; N neurons a step, in `rows`. ONCE: x has one step, shown at all."""
    at, mask, channel, _ = tile(rows, channels, inner, LAST, R, K)
    alpha, beta, _, _ = affine(mean, var, weight, bias, channel, channels, NORM, LAST)
    by = number(None, TAU, STATE)
    _, currents = _currents(x, at, mask, alpha, beta, N, STATE, STEPS, ONCE)
    v = tl.zeros([R, K], STATE)
    for t in tl.static_range(STEPS):
        h = decayed(v, by, LAYER) + currents[0 if ONCE else t]
        fired = spike(h, LAYER)
        tl.store(s + at, fired.to(s.dtype.element_ty), mask=mask)
        v = reset(h, fired, LAYER)
        s += N


@triton.jit
def _back(
    gs,
    gx,
    at,
    mask,
    xs,
    hs,
    line,
    by,
    N,
    g_step,
    LAYER: tl.constexpr,
    STEPS: tl.constexpr,
    ONCE: tl.constexpr,
):
    """The sums over time of gh, and of its product with x - mean, for each neuron; and the gradient
    of x written, unless gx is None. line: alpha, mean, shift and slope."""
    alpha, middle, shift, slope = line
    g = tl.zeros_like(hs[0])
    total = tl.zeros_like(hs[0])
    dot = tl.zeros_like(hs[0])
    for _ in tl.static_range(STEPS - 1):
        gs += g_step
        if gx is not None and not ONCE:
            gx += N
    for i in tl.static_range(STEPS):
        upstream = loaded(gs + at, mask, g.dtype)
        gs -= g_step
        gh = current_gradient(upstream, g, hs[STEPS - 1 - i], LAYER)
        g = decayed(gh, by, LAYER)
        total += gh
        if not ONCE:
            away = xs[STEPS - 1 - i] - middle
            dot += gh * away
            if gx is not None:
                of_x = (gh - shift - away * slope) * alpha
                tl.store(gx + at, of_x.to(gx.dtype.element_ty), mask=mask)
                gx -= N
    if ONCE:
        away = xs[0] - middle
        dot = total * away
        if gx is not None:
            of_x = (total - shift - away * slope) * alpha
            tl.store(gx + at, of_x.to(gx.dtype.element_ty), mask=mask)
    return total, dot


@triton.jit(do_not_specialize=["parts"])
def backward_kernel(
    gs,
    x,
    weight,
    bias,
    mean,
    var,
    found,
    partial,
    gx,
    rows,
    channels,
    inner,
    parts,
    N,
    g_step,
    STEPS: tl.constexpr,
    ONCE: tl.constexpr,
    TAU: tl.constexpr,
    LAYER: tl.constexpr,
    NORM: tl.constexpr,
    STATE: tl.constexpr,
    LAST: tl.constexpr,
    R: tl.constexpr,
    K: tl.constexpr,
):
    """The gradient gh of the current, from the neurons' gradient; then one of these, or both:

    partial [2, channels, parts] takes its sum, and that of its product with x - mean; gx takes
    (gh - shift - (x - mean) slope) alpha, with shift and slope in `found` [2, channels], or 0 where
    that is None. partial or gx may be None.
    """
    at, mask, channel, part = tile(rows, channels, inner, LAST, R, K)
    alpha, beta, _, middle = affine(mean, var, weight, bias, channel, channels, NORM, LAST)
    by = number(None, TAU, STATE)
    xs, currents = _currents(x, at, mask, alpha, beta, N, STATE, STEPS, ONCE)
    hs, _ = once_more(currents, tl.zeros([R, K], STATE), by, LAYER, STEPS, ONCE)
    line = (alpha, middle, 0.0, 0.0)
    if found is not None:
        shift = of_channels(found, channel, channels, LAST)
        line = (alpha, middle, shift, of_channels(found + channels, channel, channels, LAST))
    total, dot = _back(gs, gx, at, mask, xs, hs, line, by, N, g_step, LAYER, STEPS, ONCE)
    if partial is not None:
        place = partial + channel.to(tl.int64) * parts + part
        plane = parts.to(tl.int64) * channels
        tl.store(place, over_tile(tl.where(mask, total, 0.0), LAST), mask=channel < channels)
        tl.store(place + plane, over_tile(tl.where(mask, dot, 0.0), LAST), mask=channel < channels)


@triton.jit(do_not_specialize=["count", "parts"])
def summed_kernel(
    partial,
    var,
    found,
    gweight,
    gbias,
    count,
    parts,
    channels,
    NORM: tl.constexpr,
    STATE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The gradients of weight and bias of the program's channel from its parts, in float64; and
    shift and slope in `found`, where x's own statistics were taken, over `count` values."""
    channel = tl.program_id(0)
    own = partial + channel.to(tl.int64) * parts
    plane = parts.to(tl.int64) * channels
    place = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float64)
    dot = tl.zeros([BLOCK], tl.float64)
    for first in range(0, parts, BLOCK):
        mask = first + place < parts
        total += tl.load(own + first + place, mask=mask, other=0.0).to(tl.float64)
        dot += tl.load(own + plane + first + place, mask=mask, other=0.0).to(tl.float64)
    every = tl.sum(total, axis=0)
    with_x = tl.sum(dot, axis=0)
    around = tl.load(var + channel).to(tl.float64) + NORM[0]
    inverse = (1.0 / tl.sqrt(around)).to(STATE)
    tl.store(gbias + channel, every.to(STATE) * NORM[1])
    tl.store(gweight + channel, with_x.to(STATE) * inverse * NORM[1])
    if found is not None:
        tl.store(found + channel, (every / count).to(STATE))
        squared = inverse.to(tl.float64) * inverse.to(tl.float64)
        tl.store(found + channels + channel, (with_x / count * squared).to(STATE))
