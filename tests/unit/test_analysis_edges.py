"""Analyses at the edges of what they take: layers in groups, inputs that are none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg import analysis
from tempreg.analysis.corruptions import CORRUPTIONS
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
    for _, unit, strengths in CORRUPTIONS.values():
        assert list(strengths) == sorted(strengths)
        assert min(strengths) > 0
        if unit.startswith("share"):
            assert max(strengths) < 1


def test_tet_takes_both_ends_of_its_share() -> None:
    for lam in (0.0, 1.0):
        assert TETLoss(lam=lam)(torch.zeros(2, 4, 3), Y) >= 0
