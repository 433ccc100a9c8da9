"""Gradients of a run's own objective over training: against BPTT written out in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg.analysis import OwnGradients, own_gradients
from tempreg.analysis.own_gradients import first_last
from tests.oracle.test_gradients import STEPS, batch, network

TAU = 1.6


class Recurrence(nn.Module):
    """Currents, one layer of LIF, logits: what the equations of docs/theory.md are about."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.head = nn.Linear(3, 6), nn.Linear(6, 4)
        self.neuron = tempreg.LIF(tau=TAU)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.neuron(3 * self.first(x)))


def softmax(o: np.ndarray) -> np.ndarray:
    e = np.exp(o - o.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def by_hand(model: Recurrence, x: np.ndarray, y: np.ndarray, objective: str) -> np.ndarray:
    """||dL/dh[t]|| [T] by equation (5), triangle of half width 1, hard reset to 0."""
    (w1, b1), (w2, b2) = (
        (layer.weight.detach().numpy(), layer.bias.detach().numpy())
        for layer in (model.first, model.head)
    )
    steps, count = x.shape[:2]
    h, s, v = [], [], np.zeros((count, 6))
    for t in range(steps):
        h.append(v / TAU + 3 * (x[t] @ w1.T + b1))
        s.append((h[t] > 1).astype(float))
        v = (1 - s[t]) * h[t]
    o = np.array(s) @ w2.T + b2
    p, onehot = softmax(o), np.eye(4)[y]
    seed = {
        "rate": np.broadcast_to((softmax(o.mean(axis=0)) - onehot) / steps, o.shape),
        "step": (p - onehot) / steps,
        "trt": (0.9 * (p - onehot) + 0.1 * 2 * (o - onehot) / 4) / steps,
    }[objective] / count
    delta, norms = np.zeros((count, 6)), np.zeros(steps)
    for t in reversed(range(steps)):
        phi = np.maximum(0, 1 - np.abs(h[t] - 1))
        f = (1 - s[t] - h[t] * phi) / TAU
        delta = phi * (seed[t] @ w2) + f * delta
        norms[t] = np.sqrt((delta**2).sum())
    return norms


@pytest.mark.parametrize("name", ["rate", "step", "trt"])
def test_norms_are_those_of_the_recurrence(name: str) -> None:
    models = {epoch: Recurrence(epoch).double() for epoch in (4, 1)}
    x = torch.rand(7, 9, 3, dtype=torch.float64)
    y = torch.arange(9) % 4
    objective = {
        "rate": tempreg.RateLoss(),
        "step": tempreg.TETLoss(lam=0.0),
        "trt": tempreg.TRTLoss(models[4], lam=0.3, eta=0.1),  # whose penalty reaches no timestep
    }[name]
    found = own_gradients(models, x, y, objective, chunk=4)
    assert found.epochs.tolist() == [1, 4]
    for i, epoch in enumerate((1, 4)):
        wanted = by_hand(models[epoch], x.numpy(), y.numpy(), name)
        np.testing.assert_allclose(found.norms[i, 0], wanted, rtol=1e-10)
        assert found.first_last[i] == pytest.approx(wanted[0] / wanted[-1])


@pytest.mark.parametrize("static", [False, True])
def test_norms_of_a_network_are_those_of_its_potentials(static: bool) -> None:
    """h[t] + 0, with the 0 a leaf; static images are shown at each timestep separately."""
    model, (x, y) = network(), batch(static=static)
    model.train()
    found = own_gradients({2: model}, x, y, tempreg.RateLoss(), chunk=2)
    assert model.training
    model.eval()
    zeros: dict[str, Tensor] = {}

    def adding(layer: str) -> object:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
            zeros[layer] = torch.zeros_like(args[0]).requires_grad_()
            return (args[0] + zeros[layer],)

        return hook

    for layer in found.layers:
        model.get_submodule(layer).register_forward_pre_hook(adding(layer))  # type: ignore
    shown = x.expand(STEPS, *x.shape) if static else x
    loss = tempreg.RateLoss()(model(shown), y)
    ratios = []
    for i, g in enumerate(torch.autograd.grad(loss, [zeros[n] for n in found.layers])):
        norms = g.flatten(1).norm(dim=1).numpy()
        np.testing.assert_allclose(found.norms[0, i], norms, rtol=1e-10)
        ratios.append(norms[0] / norms[-1])
    assert found.first_last[0] == pytest.approx(np.prod(ratios) ** (1 / len(ratios)))


def test_layers_without_a_gradient_are_left_out_of_the_mean() -> None:
    norms = np.array([[[2.0, 5, 1], [0, 1, 3], [8, 1, 1]], [[0, 1, 1], [0, 0, 0], [1, 1, 0]]])
    found = first_last(norms)
    assert found[0] == pytest.approx(4)
    assert np.isnan(found[1])


def test_a_result_is_kept_and_drawn(tmp_path: Path) -> None:
    model, (x, y) = network(), batch()
    found = own_gradients({1: model, 3: model}, x, y, tempreg.RateLoss())
    found.save(tmp_path / "gradients-own.json")
    back = OwnGradients.load(tmp_path / "gradients-own.json")
    np.testing.assert_array_equal(back.norms, found.norms)
    assert back.table().splitlines()[0] == "epoch  first / last"
    assert len(back.figure().axes) == 2


def test_what_can_not_be_measured() -> None:
    model, (x, y) = network(), batch()
    with pytest.raises(ValueError, match="at one epoch at least"):
        own_gradients({}, x, y, tempreg.RateLoss())
    with pytest.raises(ValueError, match="doesn't depend on the outputs"):
        own_gradients({1: model}, x, y, lambda o, t: model.head.weight.sum())  # type: ignore
    with pytest.raises(ValueError, match="hold 5 samples, targets 4"):
        own_gradients({1: model}, x, y[:4], tempreg.RateLoss())


def test_an_objective_that_changes_is_that_of_each_epoch() -> None:
    model = Recurrence(2).double()
    x, y = torch.rand(5, 6, 3, dtype=torch.float64), torch.arange(6) % 4
    share = {"step": 0.0}

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        early = share["step"] * tempreg.TETLoss(lam=0.0)(outputs, targets)
        return early + (1 - share["step"]) * tempreg.RateLoss()(outputs, targets)

    def begin(epoch: int) -> None:
        share["step"] = float(epoch == 3)

    found = own_gradients({1: model, 3: model}, x, y, loss, begin=begin)
    for i, name in enumerate(("rate", "step")):
        wanted = by_hand(model, x.numpy(), y.numpy(), name)
        np.testing.assert_allclose(found.norms[i, 0], wanted, rtol=1e-10)
