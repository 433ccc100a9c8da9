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

from collections.abc import Iterator

import torch
from torch import Tensor

from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import DERIVATIVES, heaviside


def forward(x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec) -> tuple[Tensor, Tensor]:
    """Spikes and last state."""
    v, spikes = v0, []
    for _, _, s, v in _steps(x, v0, tau, spec):  # noqa: B007 - the last one is returned
        spikes.append(s)
    return torch.stack(spikes), v


def backward(
    gs: Tensor, gv: Tensor, x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec, rest: bool = True
) -> tuple[Tensor, ...]:
    """The gradient of x and, if asked for the `rest`, those of v0 and (by neuron) tau."""
    derivative = DERIVATIVES[spec.surrogate]
    gx, gtau = [], torch.zeros_like(v0)
    steps = zip(gs.unbind(0), _steps(x, v0, tau, spec), strict=True)
    for gs_t, (v_before, h, s, _) in reversed(list(steps)):
        phi = derivative(h - spec.v_threshold, spec.surrogate_param)
        gh = torch.addcmul(gs_t * phi, gv, _reset_derivative(h, s, phi, spec))
        gx.append(gh)
        gv = gh / tau
        if rest:
            gtau = gtau - gv * (v_before / tau)
    return (torch.stack(gx[::-1]), gv, gtau) if rest else (torch.stack(gx[::-1]),)


def _steps(
    x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """v[t-1], h[t], s[t] and v[t] of every timestep."""
    v = v0
    for x_t in x.unbind(0):
        before = v
        h = torch.div(v, tau).add_(x_t)
        s = heaviside(h, spec.v_threshold)
        if spec.v_reset is None:
            v = torch.sub(h, s, alpha=spec.v_threshold)
        else:
            v = (1.0 - s).mul_(h)
            if spec.v_reset:
                v.add_(s, alpha=spec.v_reset)
        yield before, h, s, v


def _reset_derivative(h: Tensor, s: Tensor, phi: Tensor, spec: LIFSpec) -> Tensor:
    """dv[t]/dh[t]."""
    kept = torch.ones_like(s) if spec.v_reset is None else 1.0 - s
    if spec.detach_reset:
        return kept
    if spec.v_reset is None:
        return kept.sub_(phi, alpha=spec.v_threshold)
    return kept.addcmul_(spec.v_reset - h, phi)
