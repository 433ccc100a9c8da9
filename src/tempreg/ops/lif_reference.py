"""LIF as the equations say it: a plain autograd loop. The meaning of every other backend.

    h[t] = v[t-1] / tau + x[t]                     (charge; true division)
    s[t] = 1 if h[t] > v_threshold else 0          (fire; surrogate derivative phi)
    v[t] = (1 - s[t]) h[t] + s[t] v_reset          (hard reset)
    v[t] = h[t] - s[t] v_threshold                 (soft reset, v_reset is None)

Never optimised: it is what the others are tested against, and what the analyses
differentiate twice. Shapes: x [T, *N], v0 [*N], tau a number or [] -> s [T, *N], v [*N].
"""

from __future__ import annotations

import torch
from torch import Tensor

from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import Spike


def charge(v: Tensor, x: Tensor, tau: Tensor | float) -> Tensor:
    """h[t] = v[t-1] / tau + x[t]."""
    return v / tau + x


def reset(h: Tensor, s: Tensor, spec: LIFSpec) -> Tensor:
    """v[t] from h[t] and s[t]."""
    if spec.detach_reset:
        s = s.detach()
    if spec.v_reset is None:
        return h - s * spec.v_threshold
    return (1.0 - s) * h + s * spec.v_reset


def lif_reference(
    x: Tensor,
    v0: Tensor,
    tau: Tensor | float,
    spec: LIFSpec,
    spike: type[Spike] = Spike,
) -> tuple[Tensor, Tensor]:
    """Spikes [T, *N] and the last membrane potential [*N], differentiable any number of times."""
    v, spikes = v0, []
    for x_t in x.unbind(0):
        h = charge(v, x_t, tau)
        s = spike.apply(h, spec.v_threshold, spec.surrogate, spec.surrogate_param)
        v = reset(h, s, spec)
        spikes.append(s)
    return torch.stack(spikes), v
