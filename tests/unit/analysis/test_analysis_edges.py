"""Analyses at the edges of what they take: layers in groups, inputs that are none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg import analysis
from tempreg.analysis.capture import Call, recording
from tempreg.analysis.corruptions import CORRUPTIONS
from tempreg.analysis.operations import inputs_by_step
from tempreg.analysis.per_sample import by_step
from tempreg.objectives import TETLoss

X = torch.rand(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0])


class Grouped(nn.Module):
    """[B, 2, 8, 8] -> [T, B, 3] through a convolution in groups. Final."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 4, 3, padding=1, groups=groups)
        self.neurons = tempreg.LIF(tau=2.0)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        current = self.conv(x).expand(2, len(x), 4, 8, 8)
        return self.head(self.neurons(current).mean(dim=(-2, -1)))


@pytest.mark.parametrize("groups", [1, 2])
def test_fisher_of_a_convolution_in_groups_is_that_of_single_samples(groups: int) -> None:
    model = Grouped(groups)
    found = analysis.fisher_information(model, X, Y)
    wanted = torch.zeros(2, dtype=torch.float64)
    for x, y in zip(X, Y, strict=True):
        logits = model(x[None])
        for t in range(2):
            loss = nn.functional.cross_entropy(logits[: t + 1].mean(0), y[None])
            grads = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
            wanted[t] += sum(g.double().square().sum() for g in grads) / len(Y)
    torch.testing.assert_close(torch.tensor(found.per_step), wanted, rtol=1e-4, atol=1e-9)


def test_spikes_take_tensors_of_samples() -> None:
    network: Any = Grouped(1)
    for inputs in ([X], X[:0]):
        with pytest.raises(ValueError, match="a tensor of at least one sample"):
            analysis.spikes(network, inputs)


def test_shares_of_corruptions_are_shares() -> None:
    x, generator = X.expand(4, *X.shape), torch.Generator().manual_seed(0)
    for corrupt, unit, strengths in CORRUPTIONS.values():
        assert all(corrupt(x, s, generator).shape == x.shape for s in strengths)
        assert list(strengths) == sorted(strengths)
        assert min(strengths) > 0
        if unit.startswith("share"):
            assert max(strengths) < 1


def test_tet_takes_both_ends_of_its_share() -> None:
    for lam in (0.0, 1.0):
        assert TETLoss(lam=lam)(torch.zeros(2, 4, 3), Y) >= 0


class Stateful(nn.Module):
    """Gives its input and a state, as neurons that hold none do. Final."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * x, x


def test_of_what_a_module_returns_the_first_is_recorded() -> None:
    model = Stateful()
    with recording(model, {"all": model}) as calls:
        model(X)
    (call,) = calls["all"]
    assert torch.equal(call.output, 2 * X)


class BatchFirst(nn.Module):
    """[B, T, 5] -> [T, B, 3], with the batch first inside. Final."""

    class Inside:
        def to_time_first(self, x: Tensor) -> Tensor:
            return x.movedim(1, 0)

        def from_time_first(self, x: Tensor, like: Tensor) -> Tensor:
            return x.movedim(0, 1)

    inside = Inside()

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.weights(x).movedim(1, 0)


@pytest.mark.parametrize("split_input", [False, True])
def test_a_model_with_the_batch_first_is_recorded_time_first(split_input: bool) -> None:
    model, x = BatchFirst(), torch.rand(4, 2, 5)
    with recording(model, {"weights": model.weights}, split_input=split_input) as calls:
        logits = model(x)
    (call,) = calls["weights"]
    assert torch.equal(call.args[0], x.movedim(1, 0))
    assert torch.equal(call.output, logits)
    wanted = model.weights.weight.sum(dim=0).expand(2, 4, 5)
    if split_input:
        (slope,) = torch.autograd.grad(logits.sum(), call.args[0])
        torch.testing.assert_close(slope, wanted)


def test_calls_step_by_step() -> None:
    steps = list(torch.rand(3, 1, 2, 5))
    found = inputs_by_step("a", [Call((x,), {}, x) for x in steps], 3, 2)
    assert torch.equal(torch.stack(found), torch.cat(steps))
    with pytest.raises(ValueError, match="'a' was called 3 times"):
        inputs_by_step("a", [Call((x,), {}, x) for x in torch.rand(3, 2, 1, 5)], 3, 4)


@pytest.mark.parametrize("shape", [(3, 2, 5, 6), (1, 2, 5, 6), (1, 2, 5), (3, 2, 5), (3, 2)])
def test_outputs_that_have_time_and_batch_already(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    assert torch.equal(by_step(x, 3, 2, "x"), x)


def test_probes_can_be_fitted_on_two_samples() -> None:
    model = Grouped(1)
    assert analysis.linear_probes(model, (X[:2], Y[:2]), (X, Y)).accuracy.shape == (1, 2)
    with pytest.raises(ValueError, match="at least two samples"):
        analysis.linear_probes(model, (X[:1], Y[:1]), (X, Y))
