"""What the Triton kernels of batch norm and LIF are made of: a tile, and what holds for channels.

See `norm_triton_kernels` for how x is laid out.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def tile(rows, channels, inner, LAST: tl.constexpr, R: tl.constexpr, K: tl.constexpr):
    """Where the tile's elements [R, K] are in a step, whether they are there, its channel or (with
    LAST) channels [K], and the number of the part that it is of each."""
    program = tl.program_id(0)
    if LAST:
        across = (channels + K - 1) // K
        part = program // across
        k = program % across * K + tl.arange(0, K)
        row = part.to(tl.int64) * R + tl.arange(0, R)
        at = row[:, None] * channels + k[None, :]
        return at, (row < rows)[:, None] & (k < channels)[None, :], k, part
    else:
        across = (inner + K - 1) // K
        k = program % across * K + tl.arange(0, K)
        line = program // across
        channel = line % channels
        row = (line // channels).to(tl.int64) * R + tl.arange(0, R)
        at = (row * channels + channel)[:, None] * inner + k[None, :]
        part = line // channels * across + program % across
        return at, (row < rows)[:, None] & (k < inner)[None, :], channel, part


@triton.jit
def of_channels(values, channel, channels, LAST: tl.constexpr):
    """Those of a channel, or [1, K] of several."""
    found = tl.load(values + channel, mask=channel < channels, other=0.0)
    if LAST:
        return found[None, :]
    else:
        return found


@triton.jit
def over_tile(values, LAST: tl.constexpr):
    """Over the tile: one number, or one [K] for each channel."""
    if LAST:
        return tl.sum(values, axis=0)
    else:
        return tl.sum(tl.sum(values, axis=1), axis=0)


@triton.jit
def affine(mean, var, weight, bias, channel, channels, NORM: tl.constexpr, LAST: tl.constexpr):
    """alpha, beta, 1 / sqrt(var + eps) and mean, as `norm_lif` has them; NORM: (eps, gain)."""
    GAIN: tl.constexpr = NORM[1]
    middle = of_channels(mean, channel, channels, LAST)
    around = of_channels(var, channel, channels, LAST).to(tl.float64) + NORM[0]
    inverse = (1.0 / tl.sqrt(around)).to(middle.dtype)
    alpha = inverse
    if weight is not None:
        alpha = inverse * of_channels(weight, channel, channels, LAST)
    beta = -middle * alpha
    if bias is not None:
        beta = of_channels(bias, channel, channels, LAST) - middle * alpha
    if GAIN != 1.0:
        alpha *= GAIN
        beta *= GAIN
    return alpha, beta, inverse, middle
