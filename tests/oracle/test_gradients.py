"""Temporal gradients against a network unrolled by hand, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tempreg
from tempreg.analysis import temporal_gradients, weight_gradients_by_step
from tempreg.analysis.capture import record
from tempreg.analysis.factors import products, temporal_factors
from tempreg.analysis.gradients import QUANTILES, fitted_decay
from tempreg.functional import trt_penalty
from tests.cue_memory import cue_memory

STEPS = 4


def network(**options: object) -> nn.Module:
    torch.manual_seed(5)
    model = tempreg.create_model(
        "csnn", num_classes=3, in_channels=2, num_steps=STEPS, input_size=8, channels=(4, 5),
        **options,  # type: ignore[arg-type]
    )  # fmt: skip
    return model.double()


def batch(*, static: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(6)
    shape = (5, 2, 8, 8) if static else (STEPS, 5, 2, 8, 8)
    return (torch.rand(shape, generator=generator) * 8).double(), torch.tensor([0, 2, 1, 1, 0])


OBJECTIVES = {
    "rate": lambda model: tempreg.RateLoss(),
    "step": lambda model: tempreg.TETLoss(lam=0.0),
    "tet": lambda model: tempreg.TETLoss(),
    "trt": lambda model: tempreg.TRTLoss(model, lam=1e-2),
}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("static", [False, True])
def test_parts_add_up_to_the_weight_gradient(name: str, static: bool) -> None:
    model, (x, y) = network(), batch(static=static)
    objective = OBJECTIVES[name](model)
    parts = weight_gradients_by_step(model, x, y, objective, chunk=2)
    result = temporal_gradients(model, x, y, objective, chunk=3)
    model.eval()
    parameters = dict(model.named_parameters())
    whole = torch.autograd.grad(objective(model(x), y), list(parameters.values()))
    for (key, parameter), gradient in zip(parameters.items(), whole, strict=True):
        if name == "trt" and "bias" not in key:
            penalty = trt_penalty([parameter], num_steps=STEPS, lam=1e-2)
            own = torch.autograd.grad(penalty, parameter)[0]
            gradient = gradient - own
            if key in result.weights:
                shown = result.penalty_norms[result.weights.index(key)]
                assert shown == pytest.approx(float(own.norm()))
        assert (parts[key].sum(dim=0) - gradient).norm() <= 1e-10 * gradient.norm()
    assert result.weights == [key for key, p in parameters.items() if p.ndim >= 2]
    np.testing.assert_allclose(result.weight_shares.sum(axis=1), 1.0, rtol=1e-10)
    if name != "trt":
        assert not result.penalty_norms.any()


def test_a_part_is_what_a_weight_of_one_step_alone_would_get() -> None:
    """The head with a copy of its weight at each step: its parts are the copies' gradients."""
    model, (x, y) = network(), batch()
    parts = weight_gradients_by_step(model, x, y, tempreg.RateLoss())
    spikes = record(model, x).spikes["body.1.neuron"].flatten(0, 1)
    features = F.avg_pool2d(spikes, 2).flatten(1).unflatten(0, (STEPS, 5))
    copies = model.head.weight.detach().repeat(STEPS, 1, 1).requires_grad_()  # type: ignore
    logits = torch.einsum("tbi,toi->tbo", features, copies) + model.head.bias.detach()
    loss = tempreg.RateLoss()(logits, y)
    (expected,) = torch.autograd.grad(loss, copies)
    torch.testing.assert_close(parts["head.weight"], expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", ["rate", "step"])
def test_norms_and_matrix_against_an_unrolled_network(name: str) -> None:
    """Membrane potentials h[t] that are leaves by addition: h[t] + 0, with the 0 a leaf."""
    model, (x, y) = network(), batch()
    objective = OBJECTIVES[name](model)
    result = temporal_gradients(model, x, y, objective, chunk=2)
    model.eval()
    zeros: dict[str, Tensor] = {}

    def add(layer: str) -> object:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
            zeros[layer] = torch.zeros_like(args[0], requires_grad=True)
            return (args[0] + zeros[layer],)

        return hook

    for layer in result.layers:
        model.get_submodule(layer).register_forward_pre_hook(add(layer))  # type: ignore
    logits = model(x)
    leaves = [zeros[layer] for layer in result.layers]
    for i, g in enumerate(torch.autograd.grad(objective(logits, y), leaves, retain_graph=True)):
        np.testing.assert_allclose(result.norms[i], g.flatten(1).norm(dim=1).numpy(), rtol=1e-10)
    if name == "rate":
        assert (np.triu(result.matrix[0], 1) == 0).all()
        return
    for t in range(STEPS):
        loss = F.cross_entropy(logits[t], y)
        for i, g in enumerate(torch.autograd.grad(loss, leaves, retain_graph=True)):
            expected = g.flatten(1).norm(dim=1).numpy()
            np.testing.assert_allclose(result.matrix[i, t], expected, rtol=1e-9, atol=1e-15)


def test_quantiles_of_factors_are_those_of_the_neurons() -> None:
    torch.manual_seed(0)
    lif = tempreg.LIF(tau=1.5)
    model = nn.Sequential(nn.Linear(3, 6), lif, nn.Linear(6, 2)).double()
    x = torch.rand(STEPS, 5, 3, dtype=torch.float64) * 4
    found = temporal_gradients(model, x, torch.tensor([0, 1, 1, 0, 1]), tempreg.RateLoss())
    factors = temporal_factors(lif, model[0](x).detach().flatten(1))
    for lag in range(1, STEPS):
        wanted = np.quantile(products(factors, lag).abs(), QUANTILES)
        np.testing.assert_allclose(found.factors[0, lag - 1], wanted, rtol=1e-12)


class Stepwise(nn.Module):
    """Somebody's network: one call a timestep, hidden in a neuron class that isn't ours."""

    class Spiking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = tempreg.functional.lif

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x[None] * 2, tau=2.0)[0]

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 6)
        self.neuron = self.Spiking()
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.head(self.neuron(self.first(step))) for step in x])


def test_somebody_elses_model() -> None:
    torch.manual_seed(0)
    model = Stepwise().double()
    x, y = torch.rand(STEPS, 6, 3).double() * 3, torch.tensor([0, 1, 1, 0, 1, 0])
    with pytest.raises(ValueError, match="pass is_neuron="):
        temporal_gradients(model, x, y, tempreg.RateLoss())

    def is_neuron(name: str, module: nn.Module) -> bool:
        return isinstance(module, Stepwise.Spiking)

    result = temporal_gradients(model, x, y, tempreg.RateLoss(), is_neuron=is_neuron, chunk=4)
    assert result.layers == ["neuron"]
    np.testing.assert_allclose(result.weight_shares.sum(axis=1), 1.0)
    assert np.isnan(result.factors).all()
    assert (result.matrix[0] > 0).sum() == STEPS  # no state: nothing reaches another step
    ours = tempreg.analysis.fisher_information(model, x, y)
    assert (ours.per_step > 0).all()


class UsedTwice(Stepwise):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.head.weight.sum()


def test_a_weight_used_elsewhere_is_refused() -> None:
    x, y = torch.rand(STEPS, 6, 3), torch.tensor([0, 1, 1, 0, 1, 0])
    with pytest.raises(ValueError, match=r"'head\.weight' is not the sum"):
        weight_gradients_by_step(UsedTwice(), x, y, lambda o, t: o[..., 0].square().mean())


def test_the_model_is_left_as_it_was() -> None:
    model, (x, y) = network(), batch()
    model.body.eval()  # type: ignore[union-attr]
    before = {n: v.clone() for n, v in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    first = temporal_gradients(model, x, y, tempreg.RateLoss())
    with pytest.raises(RuntimeError):
        temporal_gradients(model, x, y, lambda o, t: o.sum() + torch.ones(2) @ torch.ones(3))
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    again = temporal_gradients(model, x, y, tempreg.RateLoss())
    np.testing.assert_array_equal(first.matrix, again.matrix)
    assert len(first.figure().axes) == 3
    assert "decay a step" in first.table()


def test_decay_is_fitted_exactly_where_there_is_one() -> None:
    steps = np.arange(5)
    lag = steps[:, None] - steps[None, :]
    matrix = np.where(lag >= 0, 0.6 ** np.maximum(lag, 0), 0.0) * np.array([1, 5, 2, 9, 3])[:, None]
    assert fitted_decay(matrix) == pytest.approx(0.6)
    assert np.isnan(fitted_decay(np.eye(3)))
    assert np.isnan(fitted_decay(np.zeros((3, 3))))


class Memory(nn.Module):
    """Linear, neurons, linear: only membrane potentials can remember."""

    def __init__(self, channels: int, tau: float) -> None:
        super().__init__()
        self.encode = nn.Linear(channels, 24, bias=False)
        self.neuron = tempreg.LIF(tau=tau)
        self.head = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.neuron(self.encode(x)))
        return logits


def last_step(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs[-1], targets)


@pytest.mark.parametrize(("tau", "remembers"), [(1.0, True), (2.0, False)])
def test_positive_control_gradients_reach_a_cue_only_where_theory_says(
    tau: float, remembers: bool
) -> None:
    steps = 40
    x, y = cue_memory(256, steps, rate=0.2, seed=1)
    torch.manual_seed(2)
    model = Memory(x.shape[-1], tau)
    quiet = Memory(x.shape[-1], tau)
    with torch.no_grad():  # far below the threshold, where a factor is (1 - h^2) / tau
        quiet.encode.weight.uniform_(0.02, 0.1)
    silent, _ = cue_memory(256, steps, rate=0.0, seed=1)
    matrix = temporal_gradients(quiet, silent, y, last_step).matrix[0]
    bound = matrix[-1, -1] * tau ** -np.arange(steps - 1.0, -1, -1)
    assert (matrix[-1] <= bound * (1 + 1e-6)).all()
    assert (matrix[-1] >= bound * 0.8).all()
    assert not matrix[:-1].any()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(120):
        optimizer.zero_grad()
        last_step(model(x), y).backward()
        optimizer.step()
    unseen, cues = cue_memory(256, steps, rate=0.2, seed=7)
    accuracy = float((model(unseen)[-1].argmax(dim=-1) == cues).float().mean())
    assert accuracy > 0.95 if remembers else accuracy < 0.45


def test_cue_memory_is_what_it_says() -> None:
    x, y = cue_memory(50, 12, classes=3, distractors=2, rate=0.5, seed=3)
    assert x.shape == (12, 50, 6)
    assert torch.equal(x[0, :, :3].argmax(dim=-1), y)
    assert not x[1:, :, :3].any()
    assert 0.4 < float(x[1:-1, :, 3:5].mean()) < 0.6
    assert not x[0, :, 3:].any()
    assert x[-1, :, 5].all()
    assert not x[:-1, :, 5].any()
    assert torch.equal(cue_memory(50, 12, classes=3, distractors=2, rate=0.5, seed=3)[0], x)
    with pytest.raises(ValueError, match="a step for the cue"):
        cue_memory(5, 1)
    with pytest.raises(ValueError, match="rate in"):
        cue_memory(5, 3, rate=2)
