"""What the Triton kernels of LIF are made of: a neuron's equations at one timestep.

LAYER, in every one of them, holds a layer's constants: v_threshold, v_reset, surrogate_param, the
surrogate's number, whether the reset is detached, and 1 / tau where tau is a known power of two.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from tempreg.surrogate import DERIVATIVES

assert list(DERIVATIVES) == ["triangle", "sigmoid", "atan", "rectangle"], "phi"


@triton.jit
def _divide(a, b):
    """a / b, correctly rounded: `/` is so for float64 only, and div_rn takes float32 only."""
    if a.dtype == tl.float64:
        return a / b
    else:
        return tl.div_rn(a, b)


@triton.jit
def decayed(v, tau, LAYER: tl.constexpr):
    """v / tau, by the inverse where tau is a power of two: the same number."""
    INVERSE: tl.constexpr = LAYER[5]
    if INVERSE is None:
        return _divide(v, tau)
    elif INVERSE == 1.0:
        return v
    else:
        return v * INVERSE


@triton.jit
def number(tau, TAU: tl.constexpr, STATE: tl.constexpr):
    """tau as it is known, or from its tensor."""
    if TAU is None:
        return tl.load(tau)
    else:
        return tl.full((), TAU, STATE)


@triton.jit
def phi(u, P: tl.constexpr, SURROGATE: tl.constexpr):
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
def spike(h, LAYER: tl.constexpr):
    """s of h."""
    V_TH: tl.constexpr = LAYER[0]
    return tl.where(h != h, h, (h > V_TH).to(h.dtype))  # NaN stays NaN


@triton.jit
def reset(h, s, LAYER: tl.constexpr):
    """v of h and s."""
    V_TH: tl.constexpr = LAYER[0]
    V_RESET: tl.constexpr = LAYER[1]
    if V_RESET is None:
        return h - s * V_TH
    else:
        return (1.0 - s) * h + s * V_RESET


@triton.jit
def current_gradient(gs, g, h, LAYER: tl.constexpr):
    """gh[t] of gs[t], of the gradient g of v[t], and of h[t]."""
    V_TH: tl.constexpr = LAYER[0]
    V_RESET: tl.constexpr = LAYER[1]
    DETACH: tl.constexpr = LAYER[4]
    slope = phi(h - V_TH, LAYER[2], LAYER[3])
    dv_dh = tl.full(h.shape, 1.0, slope.dtype)
    if V_RESET is not None:
        dv_dh -= spike(h, LAYER)
    if not DETACH:
        if V_RESET is None:
            dv_dh -= V_TH * slope
        else:
            dv_dh += (V_RESET - h) * slope
    return gs * slope + g * dv_dh


@triton.jit
def loaded(x, mask, STATE: tl.constexpr):
    """Elements at these addresses, in the dtype of states; 0 where there are none."""
    return tl.load(x, mask=mask, other=0.0).to(STATE)


@triton.jit
def loaded_or_zero(v, n, mask, BLOCK: tl.constexpr, STATE: tl.constexpr):
    """The elements n of v, or zeros where there is no v."""
    if v is None:
        return tl.zeros([BLOCK], STATE)
    else:
        return tl.load(v + n, mask=mask, other=0.0)
