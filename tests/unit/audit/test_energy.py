"""The arithmetic of energy, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tempreg
from tempreg.audit.energy import access, break_even, cost
from tempreg.audit.operations import observe
from tempreg.audit.subject import Subject


def test_an_access_costs_what_horowitz_says_and_lies_on_lines_between() -> None:
    points = {8 * 1024: 10.0, 32 * 1024: 20.0, 1024 * 1024: 100.0}
    for size, picojoules in points.items():
        assert access(size, 64) == pytest.approx(picojoules)
    assert access(20 * 1024, 64) == pytest.approx(15.0)
    assert access(4 * 1024, 32) == pytest.approx(2.5)
    assert access(1 << 30, 64) == pytest.approx(100.0)


def test_operations_of_a_linear_layer_are_counted_from_its_spikes() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(tempreg.LIF(), nn.Linear(5, 3))
    x = torch.full((2, 2, 5), 0.1)
    x[0, 0, :4] = x[1, 1, 0] = 2.0  # five spikes
    layers, products = observe(Subject(net, x, per_step=None, seed=0))
    assert products == []
    layer = layers["1"]
    assert (layer.done, layer.dense, layer.spikes, layer.entries) == (15, 60, 5, 20)
    found = cost(layer, samples=2, steps=2)
    assert (found.acs, found.macs) == (7.5, 0)
    assert found.arithmetic == pytest.approx(7.5 * 0.9)
    byte = 10 / 8192 / 2  # pJ of an access of 32 bits for each byte of a memory
    weights, inputs, outputs = 4 * 18 * byte, 4 * 5 * byte, 4 * 3 * byte
    given = 2.5 / 10 * 6
    memory = 2.5 * inputs + 7.5 * (weights + 2 * outputs) + 6 * 2 * outputs + given * outputs
    assert found.memory == pytest.approx(memory)


def test_break_even_is_where_both_cost_the_same() -> None:
    dense, entries, outputs, weights, steps = 4e6, 2000.0, 2000.0, 8000.0, 4
    r = break_even(dense, entries, outputs, weights, steps)
    assert 0.05 < r < 0.5
    byte = 10 / 8192 / 8  # pJ of an access of 8 bits for each byte of a memory
    fetch, read, write, bit = weights * byte, entries * byte, outputs * byte, entries / 8 * byte / 8
    relu = dense * (0.2 + 0.03 + fetch + read) + outputs * write
    spikes = steps * (
        r * dense * (0.03 + fetch + 2 * write)
        + r * entries * bit
        + outputs * 2 * write
        + r * outputs * bit
    )
    assert spikes == pytest.approx(relu)
    rates = [break_even(1000.0, 50.0, 20.0, 1000.0, t) for t in (1, 2, 5, 10)]
    assert rates == sorted(rates, reverse=True), "the longer it takes, the fewer spikes may be"
    assert break_even(1.0, 1.0, 1e5, 1.0, 50) == 0.0


def test_products_outside_weight_layers_are_seen_with_their_kinds() -> None:
    class Attend(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x @ x.transpose(-1, -2)) @ (x + 0.5)

    layers, products = observe(Subject(Attend(), torch.eye(4)[None], per_step=None, seed=0))
    assert layers == {}
    assert [p.kinds for p in products] == [("binary", "binary"), ("binary", "real")]
