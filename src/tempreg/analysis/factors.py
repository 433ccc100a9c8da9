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

from tempreg.neurons import Neuron, State, StepNeuron
from tempreg.ops.lif_reference import charge, reset
from tempreg.surrogate import DERIVATIVES, heaviside


@torch.no_grad()
def membrane(neuron: Neuron, currents: Tensor) -> tuple[Tensor, Tensor]:
    """h and s [T, *N] of the currents x [T, *N], by the reference equations."""
    tau = torch.as_tensor(neuron.current_tau(), dtype=currents.dtype, device=currents.device)
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
    tau = torch.as_tensor(neuron.current_tau(), dtype=currents.dtype, device=currents.device)
    kept = torch.ones_like(h) if spec.v_reset is None else 1.0 - s
    if not spec.detach_reset:
        phi = DERIVATIVES[spec.surrogate](h - spec.v_threshold, spec.surrogate_param)
        jump = spec.v_threshold if spec.v_reset is None else h - spec.v_reset
        kept = kept - jump * phi
    return kept / tau


def lagged_factors(neuron: StepNeuron, currents: Tensor) -> list[Tensor]:
    """dh[t+k]/dh[t] of a neuron alone, [T - k, *N] for each lag k = 1 ... T - 1, by autograd.

    Along every path through its own state; what neurons of the layer tell each other (`between`)
    is taken as given. Of one with h as its whole state these are `products` of `temporal_factors`.
    """
    shared = [neuron.states.index(name) for name in neuron.between]
    states = _charged(neuron, currents)
    rows: list[list[Tensor]] = [[] for _ in range(1, len(currents))]
    with torch.enable_grad():
        for t in range(len(currents) - 1):
            h = states[t][0].clone().requires_grad_()
            state: State = (h, *states[t][1:])
            for k in range(1, len(currents) - t):
                state = neuron.reset(neuron.fire(state), state)
                given = states[t + k - 1]
                fired = neuron.reset(neuron.fire(given), given)
                state = tuple(
                    fired[i].detach() if i in shared else each for i, each in enumerate(state)
                )
                state = neuron.charge(currents[t + k], state)
                gradient = None
                if state[0].requires_grad:
                    (gradient,) = torch.autograd.grad(
                        state[0].sum(), h, retain_graph=True, allow_unused=True
                    )
                rows[k - 1].append(torch.zeros_like(h) if gradient is None else gradient)
    return [torch.stack(each) for each in rows]


@torch.no_grad()
def _charged(neuron: StepNeuron, currents: Tensor) -> list[State]:
    """The state before each spike, from rest."""
    state, made = neuron.initial_state(currents), []
    for x in currents.to(state[0].dtype):
        charged = neuron.charge(x, state)
        made.append(charged)
        state = neuron.reset(neuron.fire(charged), charged)
    return made


@torch.no_grad()
def relative_potentials(neuron: StepNeuron, currents: Tensor) -> Tensor:
    """h[t] / threshold[t] before each spike, [T, *N]; NaN where the threshold isn't positive."""
    made = []
    for state in _charged(neuron, currents):
        threshold = torch.as_tensor(neuron.threshold(state)).to(state[0])
        made.append(torch.where(threshold > 0, state[0] / threshold, torch.nan))
    return torch.stack(made)


def products(factors: Tensor, lag: int) -> Tensor:
    """Products of `lag` factors in a row, [T - lag, *N] from [T - 1, *N]; 1 <= lag < T."""
    return factors.unfold(0, lag, 1).prod(dim=-1)
