"""LIF in plain torch without an autograd graph: forward, and the backward pass in closed form.

With phi[t] the surrogate derivative at h[t] - v_threshold, and gv[T-1] the gradient of the
last state, backpropagation through time (t from T-1 down to 0) is

    gh[t]   = gs[t] phi[t] + gv[t] dv[t]/dh[t]
    gx[t]   = gh[t]
    gv[t-1] = gh[t] / tau
    gtau   += -gh[t] v[t-1] / tau^2                (one value a neuron; the caller sums)

    dv/dh = (1 - s) + (v_reset - h) phi            (hard reset)
          = 1 - v_threshold phi                    (soft reset)

where the phi terms of dv/dh drop out with `detach_reset`. h is computed again from x in the
backward pass, so that x is all that is kept between the two.

Shapes: x, gs [T, *N]; v0, gv [*N]; tau []; returns s [T, *N], v [*N]; gx, gv0, gtau [*N].
"""

from __future__ import annotations

import torch
from torch import Tensor

from tempreg.ops.lif_reference import charge, reset
from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import DERIVATIVES, heaviside


def forward(x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec) -> tuple[Tensor, Tensor]:
    """Spikes and last state."""
    v, spikes = v0, []
    for x_t in x.unbind(0):
        h = charge(v, x_t, tau)
        spikes.append(heaviside(h, spec.v_threshold))
        v = reset(h, spikes[-1], spec)
    return torch.stack(spikes), v


def backward(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec, rest: bool = True
) -> tuple[Tensor, ...]:
    """The gradient of x and, if asked for the `rest`, those of v0 and (by neuron) tau."""
    derivative = DERIVATIVES[spec.surrogate]
    membranes, v = [], v0
    for x_t in x.unbind(0):
        h = charge(v, x_t, tau)
        membranes.append((v, h))
        v = reset(h, heaviside(h, spec.v_threshold), spec)
    gx, gtau = [], torch.zeros_like(v0)
    for gs_t, (v_before, h) in zip(reversed(gs.unbind(0)), reversed(membranes), strict=True):
        phi = derivative(h - spec.v_threshold, spec.surrogate_param)
        gh = gs_t * phi + gv * _reset_derivative(h, phi, spec)
        gx.append(gh)
        gv = gh / tau
        if rest:
            gtau = gtau - gv * (v_before / tau)
    return (torch.stack(gx[::-1]), gv, gtau) if rest else (torch.stack(gx[::-1]),)


def _reset_derivative(h: Tensor, phi: Tensor, spec: LIFSpec) -> Tensor | float:
    """dv[t]/dh[t]."""
    if spec.v_reset is None:
        return 1.0 if spec.detach_reset else 1.0 - spec.v_threshold * phi
    kept = 1.0 - heaviside(h, spec.v_threshold)
    return kept if spec.detach_reset else kept + (spec.v_reset - h) * phi
