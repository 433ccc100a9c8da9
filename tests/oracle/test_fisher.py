"""Fisher information against single-sample gradients, in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tempreg
from tempreg.analysis import Fisher, ResultError, fisher_information
from tempreg.analysis.fisher import centroid

STEPS, SAMPLES = 3, 5


class Foreign(nn.Module):
    """Somebody's network: a loop over time, grouped and biased convolutions, layer norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1, stride=2, dilation=1)
        self.grouped = nn.Conv2d(4, 4, 3, padding="same", groups=2)
        self.norm = nn.LayerNorm(4 * 25)
        self.neuron = tempreg.PLIF(tau=2.0)
        self.head = nn.Linear(100, 3)

    def forward(self, x: Tensor) -> Tensor:
        frames = [self.norm(self.grouped(self.first(step)).flatten(1)) for step in x]
        logits: Tensor = self.head(self.neuron(torch.stack(frames) * 2))
        return logits


class Stepwise(nn.Module):
    """Somebody's network: each timestep by calls of its own, which later losses alone reach."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(200, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.head(self.hidden(step.flatten(1)).tanh()) for step in x])


def network(kind: str) -> tuple[nn.Module, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(3)
    if kind in ("foreign", "stepwise"):
        model: nn.Module = Foreign() if kind == "foreign" else Stepwise()
    else:
        model = tempreg.create_model(
            "csnn", num_classes=3, in_channels=2, num_steps=STEPS, input_size=10, channels=(4, 6),
            norm="tdbn" if kind == "tdbn" else "bn",
        )  # fmt: skip
    shape = (SAMPLES, 2, 10, 10) if kind == "static" else (STEPS, SAMPLES, 2, 10, 10)
    inputs = (torch.rand(shape, generator=generator) * 8).double()
    return model.double(), inputs, torch.tensor([0, 2, 1, 1, 0])


def looped(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Each sample's gradient of each prefix loss, squared, by module: [N, T, parameters]."""
    model.eval()
    rows = []
    for n, y in enumerate(targets):
        x = inputs[n : n + 1] if inputs.ndim == 4 else inputs[:, n : n + 1]
        for t in range(STEPS):
            loss = F.cross_entropy(model(x)[: t + 1].mean(dim=0), y[None])
            grads = torch.autograd.grad(loss, list(model.parameters()))
            rows.append(torch.stack([g.square().sum() for g in grads]))
    return torch.stack(rows).view(len(targets), STEPS, -1)


@pytest.mark.parametrize("kind", ["event", "static", "tdbn", "foreign", "stepwise"])
def test_exact_equals_a_loop_over_samples(kind: str) -> None:
    model, x, y = network(kind)
    expected = looped(model, x, y).mean(dim=0)
    model.train()
    result = fisher_information(model, x, y, chunk=2)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    np.testing.assert_allclose(result.per_step, expected.sum(dim=1).numpy(), rtol=1e-10)
    assert (result.per_step > 0).all()
    owners = [name.rpartition(".")[0] for name, _ in model.named_parameters()]
    for layer, values in zip(result.layers, result.per_layer, strict=True):
        mine = [i for i, owner in enumerate(owners) if owner == layer]
        np.testing.assert_allclose(values, expected[:, mine].sum(dim=1).numpy(), rtol=1e-10)
    weight = sum(float(p.detach().square().sum()) for p in model.head.parameters())
    np.testing.assert_allclose(result.scaled[-1], weight * result.per_layer[-1])
    i = result.per_step
    assert result.centroid == pytest.approx((i[0] + 2 * i[1] + 3 * i[2]) / i.sum())
    low, high = result.centroid_interval
    assert low < result.centroid < high


def test_signs_are_unbiased_and_the_exact_value_inside_their_interval() -> None:
    model, x, y = network("event")
    exact = fisher_information(model, x, y).per_step
    draws = np.stack(
        [fisher_information(model, x, y, estimator="signs", draws=1, seed=s).per_step
         for s in range(200)]
    )  # fmt: skip
    middle, error = draws.mean(axis=0), draws.std(axis=0, ddof=1) / np.sqrt(200)
    assert (np.abs(middle - exact) <= 2.601 * error).all()  # t of 199 degrees, 99%
    assert (error > 0).all()
    biased = fisher_information(model, x, y, estimator="batch").per_step
    assert (np.abs(middle - biased) > 4 * error).any()


def test_draws_average_and_give_an_interval() -> None:
    model, x, y = network("event")
    result = fisher_information(model, x, y, estimator="signs", draws=30, chunk=2)
    exact = fisher_information(model, x, y)
    np.testing.assert_allclose(result.per_step, exact.per_step, rtol=0.5)
    assert result.centroid_interval[0] < result.centroid < result.centroid_interval[1]
    single = fisher_information(model, x, y, estimator="signs", draws=1)
    assert np.isnan(single.centroid_interval).all()


def test_batch_is_the_squared_gradient_of_mean_losses() -> None:
    model, x, y = network("event")
    model.eval()
    expected = np.zeros(STEPS)
    for rows in ([0, 1, 2], [3, 4]):
        for t in range(STEPS):
            loss = F.cross_entropy(model(x[:, rows])[: t + 1].mean(dim=0), y[rows])
            grads = torch.autograd.grad(loss, list(model.parameters()))
            expected[t] += sum(float(g.square().sum()) for g in grads) / 2
    result = fisher_information(model, x, y, estimator="batch", chunk=3)
    np.testing.assert_allclose(result.per_step, expected, rtol=1e-10)


def test_sampled_labels_average_to_the_fisher_information() -> None:
    model, x, y = network("event")
    model.eval()
    expected = np.zeros(STEPS)
    for t in range(STEPS):
        chances = model(x)[: t + 1].mean(dim=0).softmax(dim=-1).detach()
        for label in range(3):
            squares = looped(model, x, torch.full_like(y, label))[:, t].sum(dim=1)
            expected[t] += float((chances[:, label] * squares.detach()).mean())
    draws = [fisher_information(model, x, y, labels="sampled", seed=s).per_step for s in range(60)]
    error = np.std(draws, axis=0, ddof=1) / np.sqrt(60)
    assert (np.abs(np.mean(draws, axis=0) - expected) <= 3.5 * error).all()


def test_same_seed_same_numbers_whatever_the_global_generator(tmp_path: Path) -> None:
    model, x, y = network("event")
    made = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        made.append(fisher_information(model, x, y, estimator="signs", labels="sampled", seed=4))
    np.testing.assert_array_equal(made[0].per_step, made[1].per_step)
    other = fisher_information(model, x, y, estimator="signs", labels="sampled", seed=5)
    assert (other.per_step != made[0].per_step).any()
    made[0].save(tmp_path / "fisher.json")
    again = Fisher.load(tmp_path / "fisher.json")
    np.testing.assert_array_equal(again.per_layer, made[0].per_layer)
    assert "centroid" in again.table()
    assert len(again.figure().axes) == 2
    (tmp_path / "fisher.json").write_text('{"quantity": "spikes"}')
    with pytest.raises(ResultError, match="no result of the analysis 'fisher'"):
        Fisher.load(tmp_path / "fisher.json")


def test_frozen_layers_are_left_out() -> None:
    model, x, y = network("event")
    for parameter in model.stem.parameters():
        parameter.requires_grad_(False)
    expected = fisher_information(model, x, y)
    assert not any(name.startswith("stem") for name in expected.layers)
    signs = fisher_information(model, x, y, estimator="batch", chunk=1)
    np.testing.assert_allclose(signs.per_step, expected.per_step, rtol=1e-10)


def test_bad_requests_say_what_is_wrong() -> None:
    model, x, y = network("event")
    data = torch.utils.data.TensorDataset(x.movedim(1, 0), y)
    loader = torch.utils.data.DataLoader(data, shuffle=True)
    with pytest.raises(ValueError, match="may shuffle or augment"):
        fisher_information(model, loader, y)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"hold 5 samples, targets 4"):
        fisher_information(model, x, y[:4])
    with pytest.raises(ValueError, match="unknown estimator"):
        fisher_information(model, x, y, estimator="diagonal")
    with pytest.raises(ValueError, match="chunk must be >= 1"):
        fisher_information(model, x, y, chunk=0)
    with pytest.raises(ValueError, match=r"returns logits \[T, B, classes\]"):
        fisher_information(
            nn.Sequential(nn.Flatten(2), nn.Linear(200, 3), nn.Flatten()).double(), x, y
        )


def test_centroid_of_nothing_is_nan() -> None:
    assert np.isnan(centroid(np.zeros(3)))
