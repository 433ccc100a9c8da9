"""Surrogate curvature against the dense Hessian of double backward, in float64."""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tempreg
from tempreg.analysis import SurrogateCurvature, surrogate_curvature
from tempreg.analysis.curvature import both_modes, surrogate_operator
from tempreg.surrogate import BothModesSpike

pytest.importorskip("curvlinops")

# PyTorch's own forward mode says this of itself.
pytestmark = pytest.mark.filterwarnings("default:`torch.jit.script` is deprecated")


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.head = nn.Linear(3, 5), nn.Linear(5, 3)
        self.lif = tempreg.LIF(surrogate="sigmoid", surrogate_param=2.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lif(2 * self.first(x)))


@pytest.fixture
def network() -> Tiny:
    return Tiny().double()


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 10, 3, dtype=torch.float64, generator=generator)
    return x, torch.randint(0, 3, (10,), generator=generator)


def dense(network: Tiny, data: tuple[Tensor, Tensor], matrix: str) -> Tensor:
    """By autograd alone, through the reference backend."""
    network.lif.backend = "reference"
    weights = [network.first.weight, network.head.weight]
    mean = network(data[0]).mean(dim=0)
    if matrix == "Hessian":
        loss = F.cross_entropy(mean, data[1])
        first = torch.autograd.grad(loss, weights, create_graph=True)
        rows = torch.cat([g.flatten() for g in first])
        made = [torch.autograd.grad(row, weights, retain_graph=True) for row in rows]
        return torch.stack([torch.cat([g.flatten() for g in row]) for row in made])
    total = torch.zeros(30, 30, dtype=torch.float64)
    for logits in mean:
        rows = [torch.autograd.grad(o, weights, retain_graph=True) for o in logits]
        jacobian = torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
        p = logits.detach().softmax(dim=0)
        total += jacobian.T @ (p.diag() - torch.outer(p, p)) @ jacobian
    return total / len(mean)


@pytest.mark.parametrize("matrix", ["Hessian", "GGN"])
def test_products_against_the_dense_matrix(network, data, matrix: str) -> None:
    with surrogate_operator(network, *data, matrix, chunk=4) as operator:
        columns = operator @ torch.eye(30, dtype=torch.float64)
    expected = dense(network, data, matrix)
    assert float(expected.abs().max()) > 1e-3
    torch.testing.assert_close(columns.detach(), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(expected, expected.T, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("matrix", ["Hessian", "GGN"])
def test_frozen_weights_count(network, data, matrix: str) -> None:
    with surrogate_operator(network, *data, matrix, chunk=4) as operator:
        wanted = (operator @ torch.ones(30, dtype=torch.float64)).detach()
    network.first.weight.requires_grad_(False)
    with surrogate_operator(network, *data, matrix, chunk=4) as operator:
        found = (operator @ torch.ones(30, dtype=torch.float64)).detach()
    torch.testing.assert_close(found, wanted)


def test_spikes_have_the_type_of_the_input() -> None:
    lif = tempreg.LIF()
    x, state = torch.rand(3, 4, dtype=torch.bfloat16), torch.zeros(4)
    with both_modes(lif):
        assert lif(x, state)[0].dtype == torch.bfloat16
        assert lif(x).dtype == torch.bfloat16


def test_both_modes_within_both_modes(network) -> None:
    with both_modes(network):
        outer = network.lif.__dict__["forward"]
        with both_modes(network):
            assert network.lif.__dict__["forward"] is not outer
        assert network.lif.__dict__["forward"] is outer


def test_top_and_trace(network, data, tmp_path: Path) -> None:
    before = deepcopy(network.state_dict())
    result = surrogate_curvature(network, *data, probes=12, chunk=10)
    assert "forward" not in network.lif.__dict__
    assert network.training
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    for i, matrix in enumerate(result.matrices):
        expected = dense(deepcopy(network), data, matrix)
        top = float(torch.linalg.eigvalsh(expected)[-1])
        assert result.top[i] == pytest.approx(top, rel=1e-3)
        gap = abs(result.trace[i] - float(expected.trace()))
        assert gap < 4 * result.trace_error[i]
    result.save(tmp_path / "c.json")
    assert SurrogateCurvature.load(tmp_path / "c.json").table() == result.table()
    assert result.figure().axes
    again = surrogate_curvature(network, *data, probes=12, chunk=10)
    np.testing.assert_array_equal(result.trace, again.trace)


def test_left_as_it_was_after_an_error(network, data) -> None:
    network.first.weight.requires_grad_(False)

    def fail() -> None:
        with surrogate_operator(network, *data, "GGN", chunk=4):
            assert "forward" in network.lif.__dict__
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail()
    assert "forward" not in network.lif.__dict__
    assert network.training
    assert not network.first.weight.requires_grad
    assert network.head.weight.requires_grad


def test_without_curvlinops(network, data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "curvlinops", None)
    with pytest.raises(ValueError, match=r"pip install '\.\[curvature\]'"):
        surrogate_curvature(network, *data)


def test_forward_mode_is_the_surrogate_too() -> None:
    h = torch.linspace(-1, 3, 9, dtype=torch.float64)
    v = torch.arange(9, dtype=torch.float64)
    _, forward = torch.func.jvp(lambda x: BothModesSpike.apply(x, 1.0, "sigmoid", 2.0), (h,), (v,))
    h.requires_grad_()
    (backward,) = torch.autograd.grad(BothModesSpike.apply(h, 1.0, "sigmoid", 2.0), h, v)
    torch.testing.assert_close(forward, backward)
    assert forward.abs().sum() > 0


def test_an_estimate_is_that_of_its_seed(network: Tiny, data: tuple[Tensor, Tensor]) -> None:
    targets = torch.arange(len(data[0][0])) % 3
    first, again, other = (
        surrogate_curvature(network, data[0], targets, probes=2, seed=seed) for seed in (0, 0, 1)
    )
    assert (first.top == again.top).all()
    assert (first.trace == again.trace).all()
    assert (first.trace != other.trace).any()
    assert first.quantity == "surrogate_curvature"
