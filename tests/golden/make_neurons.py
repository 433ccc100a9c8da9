"""Writes neurons.json: spikes and gradients of other libraries' neurons on a given input.

    python -m tests.golden.make_neurons [NAME ...]

In the environment of `make test-frameworks`; without names all, else those of these neurons alone.
Each neuron gets x = fill((T, B, N), 1, 1.5) and the loss sum(w spikes) with w = fill(..., 2, 1), in
float64, with the triangle surrogate of width 1. What it takes to say ours in theirs stands here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tempreg.surrogate import Spike
from tests.golden.fill import fill

SHAPE = (7, 3, 5)
TAU, RHO, JUMP, TAU_SYN, THRESHOLD = 1.25, 0.8, 0.3, 2.0, 0.6
ORDER = 3


def triangle(u: Tensor) -> Tensor:
    return Spike.apply(u, 0.0, "triangle", 1.0)


def triangle_of_spikingjelly() -> Any:
    from spikingjelly.activation_based import surrogate

    class Triangle(surrogate.SurrogateFunctionBase):
        def __init__(self) -> None:
            super().__init__(alpha=1.0, spiking=True)

        def forward(self, u: Tensor) -> Tensor:
            return triangle(u)

    return Triangle()


def recorded(spikes: Tensor, **tensors: Tensor) -> dict[str, Any]:
    loss = (spikes * fill(SHAPE, 2, 1.0)).sum()
    gradients = torch.autograd.grad(loss, list(tensors.values()))
    found = {name: g.flatten().tolist() for name, g in zip(tensors, gradients, strict=True)}
    return {"spikes": spikes.detach().flatten().int().tolist(), **found}


def alif() -> dict[str, Any]:
    """Norse's LSNN. Its current acts a step late, and 1 / tau = 1 - dt tau_mem_inv."""
    from norse.torch.functional.lsnn import (
        LSNNFeedForwardState,
        LSNNParameters,
        lsnn_feed_forward_step,
    )

    gain = torch.tensor(1 - 1 / TAU, dtype=torch.float64)
    p = LSNNParameters(
        tau_syn_inv=torch.tensor(1.0, dtype=torch.float64),
        tau_mem_inv=gain,
        tau_adapt_inv=torch.tensor(1 - RHO, dtype=torch.float64),
        v_leak=torch.tensor(0.0, dtype=torch.float64),
        v_th=torch.tensor(THRESHOLD, dtype=torch.float64),
        v_reset=torch.tensor(0.0, dtype=torch.float64),
        beta=torch.tensor(JUMP, dtype=torch.float64),
        method="triangle",
        alpha=torch.tensor(1.0, dtype=torch.float64),
    )
    x = fill(SHAPE, 1, 1.5).requires_grad_()
    zero = torch.zeros(SHAPE[1:], dtype=torch.float64)
    state = LSNNFeedForwardState(v=zero, i=zero, b=zero + THRESHOLD)
    made = []
    for given in [*(x / gain), zero]:
        z, state = lsnn_feed_forward_step(given, state, p, dt=1.0)
        made.append(z)
    return recorded(torch.stack(made[1:]), x=x)


def cuba() -> dict[str, Any]:
    """SpikingJelly's CUBALIFNode."""
    from spikingjelly.activation_based import neuron

    node = neuron.CUBALIFNode(1 / TAU_SYN, 1 / TAU, THRESHOLD, 0.0, triangle_of_spikingjelly())
    x = fill(SHAPE, 1, 1.5).requires_grad_()
    return recorded(torch.stack([node(step) for step in x]), x=x)


def recurrent() -> dict[str, Any]:
    """snnTorch's RLeaky, reset to zero at once."""
    import snntorch

    node = snntorch.RLeaky(
        1 / TAU,
        linear_features=SHAPE[-1],
        threshold=THRESHOLD,
        spike_grad=triangle,
        reset_mechanism="zero",
        reset_delay=False,
    ).double()
    weight, bias = node.recurrent.weight, node.recurrent.bias
    with torch.no_grad():
        weight.copy_(fill(weight.shape, 3, 0.4))
        bias.copy_(fill(bias.shape, 4, 0.1))
    x = fill(SHAPE, 1, 1.5).requires_grad_()
    zero = torch.zeros(SHAPE[1:], dtype=torch.float64)
    spike, membrane, made = zero, zero, []
    for step in x:
        spike, membrane = node(step, spike, membrane)
        made.append(spike)
    return recorded(torch.stack(made), x=x, weight=weight, bias=bias)


def threshold() -> dict[str, Any]:
    """snnTorch's Leaky with a threshold that learns, which is subtracted at once."""
    import snntorch

    node = snntorch.Leaky(
        1 / TAU,
        threshold=THRESHOLD,
        learn_threshold=True,
        spike_grad=triangle,
        reset_mechanism="subtract",
        reset_delay=False,
    ).double()
    x = fill(SHAPE, 1, 0.5).requires_grad_()
    membrane, made = torch.zeros(SHAPE[1:], dtype=torch.float64), []
    for step in x:
        spike, membrane = node(step, membrane)
        made.append(spike)
    return recorded(torch.stack(made), x=x, threshold=node.threshold)


def learned(node: Any) -> dict[str, Tensor]:
    """The weights and biases of a parallel neuron, whose bias is ours less the threshold."""
    node.double()
    with torch.no_grad():
        if node.weight.ndim == 2:  # SlidingPSN's start as 1/4, 1/2, 1
            node.weight.copy_(fill(node.weight.shape, 3, 0.6))
        node.bias.copy_(fill(node.bias.shape, 4, 0.2) - THRESHOLD)
    return {"weight": node.weight, "bias": node.bias}


def psn() -> dict[str, Any]:
    """SpikingJelly's PSN."""
    from spikingjelly.activation_based import neuron

    node = neuron.PSN(SHAPE[0], triangle_of_spikingjelly())
    x, parameters = fill(SHAPE, 1, 1.5).requires_grad_(), learned(node)
    return recorded(node(x), x=x, **parameters)


def masked_psn() -> dict[str, Any]:
    """SpikingJelly's MaskedPSN, its mask complete."""
    from spikingjelly.activation_based import neuron

    node = neuron.MaskedPSN(ORDER, SHAPE[0], 1.0, triangle_of_spikingjelly(), "m")
    x, parameters = fill(SHAPE, 1, 1.5).requires_grad_(), learned(node)
    return recorded(node(x), x=x, **parameters)


def sliding_psn() -> dict[str, Any]:
    """SpikingJelly's SlidingPSN, whose weights begin with the timestep longest ago; step by step,
    for its way of all at once is in float32 alone."""
    from spikingjelly.activation_based import neuron

    node = neuron.SlidingPSN(ORDER, True, triangle_of_spikingjelly(), "s")
    x, parameters = fill(SHAPE, 1, 1.5).requires_grad_(), learned(node)
    return recorded(torch.stack([node(step) for step in x]), x=x, **parameters)


if __name__ == "__main__":
    makers = {
        f.__name__: f
        for f in (alif, cuba, recurrent, threshold, psn, masked_psn, sliding_psn)
        if len(sys.argv) == 1 or f.__name__ in sys.argv[1:]
    }
    path = Path(__file__).with_name("neurons.json")
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | {name: make() for name, make in makers.items()}) + "\n")
