"""Neurons of any equation: the loop, every analysis, exports, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg import analysis
from tempreg.analysis.factors import lagged_factors, products, temporal_factors
from tempreg.export.program import Step, Unrolled, frames_like, traced
from tempreg.foreign import constant_parameters
from tempreg.models.own import OwnNetwork
from tempreg.neurons import State, StepNeuron


class Stepped(StepNeuron):
    """LIF once more, as a user would write it."""

    def __init__(self, tau: float = 2.0, **constants: Any) -> None:
        super().__init__(**constants)
        self.tau = tau

    def charge(self, x: Tensor, state: State) -> State:
        return (state[0] / self.tau + x,)


SETTINGS: list[dict[str, Any]] = [
    {},
    {"v_reset": None, "surrogate": "sigmoid", "surrogate_param": 4.0},
    {"v_reset": 0.1, "detach_reset": True, "surrogate": "atan", "v_threshold": 0.7},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", [(1, 1), (5, 3, 7), (9, 2, 1, 3, 5)])
def test_lif_in_steps_is_lif(settings: dict[str, Any], shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    made = []
    for neuron in (Stepped(**settings), tempreg.LIF(backend="reference", **settings)):
        given = x.clone().requires_grad_()
        spikes = neuron(given)
        spikes.cos().sum().backward()
        made.append((spikes, given.grad))
    (spikes, gradient), (expected, wanted) = made
    assert torch.equal(spikes, expected)
    torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("settings", SETTINGS)
def test_factors_by_autograd_are_those_of_the_equations(settings: dict[str, Any]) -> None:
    x = torch.randn(6, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    factors = temporal_factors(tempreg.LIF(**settings), x)
    for lag, found in enumerate(lagged_factors(Stepped(**settings), x), 1):
        torch.testing.assert_close(found, products(factors, lag))


def test_factors_see_the_way_through_another_state() -> None:
    """A spike raises ALIF's threshold, which the next spike and so its reset depend on."""
    x = torch.full((3, 1), 1.2, dtype=torch.float64)
    neuron = tempreg.ALIF(tau=2.0, rho=1.0, jump=0.5)
    h = [1.2, 1.2, 1.8]  # a spike; then below 1.5; then above 1.5
    phi = [0.8, 0.7]
    # h1 = (1 - s0) h0 / 2 + x; h2 = (1 - s1) h1 / 2 + x with s1 = [h1 > 1 + 0.5 s0]
    first = (1 - 1 - h[0] * phi[0]) / 2
    second = (1 - h[1] * phi[1]) / 2
    through = (h[1] * phi[1]) * 0.5 * phi[0] / 2
    one, two = lagged_factors(neuron, x)
    torch.testing.assert_close(one.flatten(), torch.tensor([first, second], dtype=torch.float64))
    assert float(two) == pytest.approx(first * second + through)


class Net(nn.Module):
    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.conv, self.lif = nn.Conv2d(2, 6, 3), neuron
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        current = 2 * self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(dim=(3, 4))
        return self.head(self.lif(current))  # type: ignore[no-any-return]


KINDS = {
    "alif": lambda: tempreg.ALIF(v_threshold=0.2),
    "cuba": lambda: tempreg.CubaLIF(v_threshold=0.2),
    "recurrent": lambda: tempreg.RecurrentLIF(6, v_threshold=0.2),
    "threshold": lambda: tempreg.ThresholdLIF(v_threshold=0.2),
    "own": lambda: Stepped(v_threshold=0.2),
}


def network(kind: str) -> OwnNetwork:
    torch.manual_seed(0)
    return OwnNetwork(Net(KINDS[kind]()), num_classes=3, in_channels=2, num_steps=4).eval()


def data() -> tuple[Tensor, Tensor]:
    x = torch.rand(4, 6, 2, 5, 5, generator=torch.Generator().manual_seed(2))
    return x, torch.arange(6) % 3


@pytest.mark.parametrize("kind", list(KINDS))
def test_analyses_work_on_it(kind: str) -> None:
    model, (x, y) = network(kind), data()
    gradients = analysis.temporal_gradients(model, x, y, tempreg.StepLoss())
    assert gradients.layers == ["model.lif"]
    assert np.isfinite(gradients.factors).all()
    assert (gradients.norms > 0).any()
    assert gradients.settings["not tempreg's"] == []
    spikes = analysis.spikes(model, x)
    assert spikes.rate.max() > 0
    assert spikes.membrane.sum() == pytest.approx(1.0)
    fisher = analysis.fisher_information(model, x, y, estimator="signs")
    assert np.isfinite(fisher.per_step).all()
    assert np.isfinite(analysis.anytime(model, x, y).loss).all()


@pytest.mark.filterwarnings("default:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("kind", ["alif"])
def test_curvature_is_that_of_autograd(kind: str) -> None:
    pytest.importorskip("curvlinops")
    model, (x, y) = network(kind).double(), data()
    found = analysis.surrogate_curvature(model, x.double(), y, seed=0)
    assert np.isfinite(found.trace).all()
    assert "spike" not in vars(model.model.lif)


@pytest.mark.parametrize("kind", list(KINDS))
def test_exports_hold_all_states(kind: str) -> None:
    model = network(kind)
    frames = frames_like(model, (5, 5), events=True, stateful=False)  # type: ignore[arg-type]
    with torch.no_grad():
        expected = model(frames)
        whole = traced(Unrolled(model), frames).module()(frames)  # type: ignore[arg-type]
        torch.testing.assert_close(whole, expected)
        step = Step(model)  # type: ignore[arg-type]
        program = traced(step, frames[0]).module()
        states = step.initial_states(frames[0])
        assert len(states) == len(model.model.lif.states)
        for t, frame in enumerate(frames):
            logits, *states = program(frame, *states)
            torch.testing.assert_close(logits, expected[t])


def test_an_export_of_a_network_that_keeps_states_itself() -> None:
    class Loop(Net):
        def forward(self, x: Tensor) -> Tensor:
            current = 2 * self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(dim=(3, 4))
            state, made = self.lif.initial_state(current), []
            for step in current.split(1):
                spikes, state = self.lif(step, state)
                made.append(spikes)
            return self.head(torch.cat(made))  # type: ignore[no-any-return]

    for neuron in (tempreg.LIF(v_threshold=0.2), tempreg.ALIF(v_threshold=0.2)):
        model = OwnNetwork(Loop(neuron), num_classes=3, in_channels=2, num_steps=4).eval()
        frames = data()[0]
        with torch.no_grad():
            program = traced(Unrolled(model), frames).module()  # type: ignore[arg-type]
            torch.testing.assert_close(program(frames), model(frames))


def test_constants_are_not_penalised_and_recurrent_weights_are() -> None:
    threshold, recurrent = tempreg.ThresholdLIF(), tempreg.RecurrentLIF(4)
    assert constant_parameters(threshold) == {id(threshold.learned)}
    assert not constant_parameters(recurrent)


def test_half_precision_keeps_its_state_in_float32() -> None:
    x = torch.randn(3, 4).to(torch.bfloat16)
    neuron = tempreg.ALIF()
    spikes, state = neuron(x, neuron.initial_state(x))
    assert spikes.dtype == torch.bfloat16
    assert {each.dtype for each in state} == {torch.float32}


def test_what_is_refused() -> None:
    neuron, x = tempreg.ALIF(), torch.zeros(2, 3)
    with pytest.raises(ValueError, match="the state of ALIF is v, b, got 1 tensors"):
        neuron(x, (torch.zeros(3),))
    with pytest.raises(ValueError, match=r"the state has shape \[4\]"):
        neuron(x, (torch.zeros(3), torch.zeros(4)))
    with pytest.raises(ValueError, match="T >= 1"):
        neuron(x[:0])
    with pytest.raises(TypeError, match="floating"):
        neuron(x.long())
    with pytest.raises(ValueError, match=r"rho must be in \[0, 1\]"):
        tempreg.ALIF(rho=2.0)
    with pytest.raises(ValueError, match="tau_syn must be >= 1"):
        tempreg.CubaLIF(tau_syn=0.5)
    with pytest.raises(ValueError, match="features"):
        tempreg.RecurrentLIF(0)


def test_a_run_with_one(tmp_path: Path) -> None:
    x, y = data()
    net = Net(tempreg.ThresholdLIF(v_threshold=0.2))
    before = net.lif.learned.detach().clone()
    tempreg.train(
        model=net,
        data={name: [*zip(x.movedim(1, 0), y, strict=True)] for name in ("train", "test")},
        objective="step",
        out=tmp_path / "run",
        num_steps=4,
        epochs=1,
        settings={"data.validation": 0.0},
    )
    assert not torch.equal(net.lif.learned.detach(), before)
