"""Neurons beyond LIF against the libraries they come from; `make_neurons.py` says how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import tempreg
from tests.golden.fill import fill, golden, relative
from tests.golden.make_neurons import JUMP, ORDER, RHO, SHAPE, TAU, TAU_SYN, THRESHOLD


def recurrent() -> tempreg.StepNeuron:
    neuron = tempreg.RecurrentLIF(SHAPE[-1], tau=TAU, v_threshold=THRESHOLD).double()
    with torch.no_grad():
        neuron.recurrent.weight.copy_(fill(neuron.recurrent.weight.shape, 3, 0.4))
        neuron.recurrent.bias.copy_(fill(neuron.recurrent.bias.shape, 4, 0.1))
    return neuron


def parallel(neuron: tempreg.PSN | tempreg.MaskedPSN | tempreg.SlidingPSN) -> Any:
    with torch.no_grad():
        if not isinstance(neuron, tempreg.SlidingPSN):
            neuron.mixing.copy_(fill(neuron.mixing.shape, 3, 0.6))
        neuron.double().offset.copy_(fill(neuron.offset.shape, 4, 0.2))
    return neuron


OF_W = {"weight": "mixing", "bias": "offset"}
NEURONS: dict[str, tuple[Callable[[], Any], float, dict[str, str]]] = {
    "alif": (lambda: tempreg.ALIF(tau=TAU, rho=RHO, jump=JUMP, v_threshold=THRESHOLD), 1.5, {}),
    "cuba": (lambda: tempreg.CubaLIF(tau=TAU, tau_syn=TAU_SYN, v_threshold=THRESHOLD), 1.5, {}),
    "recurrent": (recurrent, 1.5, {"weight": "recurrent.weight", "bias": "recurrent.bias"}),
    "threshold": (
        lambda: tempreg.ThresholdLIF(tau=TAU, v_threshold=THRESHOLD, v_reset=None),
        0.5,
        {"threshold": "learned"},
    ),
    "psn": (lambda: parallel(tempreg.PSN(SHAPE[0], v_threshold=THRESHOLD)), 1.5, OF_W),
    "masked_psn": (
        lambda: parallel(tempreg.MaskedPSN(SHAPE[0], order=ORDER, v_threshold=THRESHOLD)),
        1.5,
        OF_W,
    ),
    "sliding_psn": (
        lambda: parallel(tempreg.SlidingPSN(order=ORDER, v_threshold=THRESHOLD)),
        1.5,
        {"weight": "taps", "bias": "offset"},
    ),
}
"""How each is made, the scale of its input, and its parameters by their names there."""


@pytest.mark.parametrize("name", list(NEURONS))
def test_spikes_and_gradients(name: str) -> None:
    make, scale, parameters = NEURONS[name]
    neuron, expected = make().double(), golden("neurons.json")[name]
    x = fill(SHAPE, 1, scale).requires_grad_()
    spikes: Tensor = neuron(x)
    assert spikes.detach().flatten().int().tolist() == expected["spikes"]
    assert 10 < sum(expected["spikes"]) < 95, "some fire, some don't"
    tensors = {"x": x} | {key: neuron.get_parameter(own) for key, own in parameters.items()}
    loss = (spikes * fill(SHAPE, 2, 1.0)).sum()
    for key, gradient in zip(tensors, torch.autograd.grad(loss, [*tensors.values()]), strict=True):
        if name == "sliding_psn" and key == "weight":  # theirs begin with the timestep longest ago
            gradient = gradient.flip(0)
        assert relative(gradient, expected[key]) < 1e-6, key


@pytest.mark.parametrize("name", [n for n in NEURONS if n != "psn"])
@pytest.mark.parametrize("cut", [1, 4])
def test_carried_state_is_the_whole(name: str, cut: int) -> None:
    make, scale, _ = NEURONS[name]
    neuron, x = make().double(), fill(SHAPE, 1, scale)
    first, state = neuron(x[:cut], neuron.initial_state(x))
    second, last = neuron(x[cut:], state)
    assert torch.equal(torch.cat([first, second]), neuron(x))
    assert len(last) == len(neuron.states)
