"""Temporal factors: how much of a membrane potential's gradient one timestep passes on.

    hard reset             dh[t+1]/dh[t] = (1/tau) (1 - s[t] - (h[t] - v_reset) phi(u[t]))
    soft reset             dh[t+1]/dh[t] = (1/tau) (1 - v_threshold phi(u[t]))
    hard reset, detached   dh[t+1]/dh[t] = (1/tau) (1 - s[t])
    soft reset, detached   dh[t+1]/dh[t] = 1/tau

with u = h - v_threshold and phi the surrogate derivative (docs/theory.md derives them). Their
product over t ... t+k-1 is the part of dh[t+k]/dh[t] that stays within the neuron.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tempreg.neurons import Neuron
from tempreg.ops.lif_reference import charge, reset
from tempreg.surrogate import DERIVATIVES, heaviside


@torch.no_grad()
def membrane(neuron: Neuron, currents: Tensor) -> tuple[Tensor, Tensor]:
    """h and s [T, *N] of the currents x [T, *N], by the reference equations."""
    tau = torch.as_tensor(neuron.current_tau()).to(currents)
    v, potentials, spikes = torch.zeros_like(currents[0]), [], []
    for x in currents:
        h = charge(v, x, tau)
        s = heaviside(h, neuron.spec.v_threshold)
        v = reset(h, s, neuron.spec)
        potentials.append(h)
        spikes.append(s)
    return torch.stack(potentials), torch.stack(spikes)


@torch.no_grad()
def temporal_factors(neuron: Neuron, currents: Tensor) -> Tensor:
    """dh[t+1]/dh[t] [T-1, *N] at the currents x [T, *N]; a step of it is one neuron's own."""
    spec = neuron.spec
    h, s = (values[:-1] for values in membrane(neuron, currents))
    tau = torch.as_tensor(neuron.current_tau()).to(currents)
    kept = torch.ones_like(h) if spec.v_reset is None else 1.0 - s
    if not spec.detach_reset:
        phi = DERIVATIVES[spec.surrogate](h - spec.v_threshold, spec.surrogate_param)
        jump = spec.v_threshold if spec.v_reset is None else h - spec.v_reset
        kept = kept - jump * phi
    return kept / tau


def products(factors: Tensor, lag: int) -> Tensor:
    """Products of `lag` factors in a row, [T - lag, *N] from [T - 1, *N]; 1 <= lag < T."""
    return factors.unfold(0, lag, 1).prod(dim=-1)
