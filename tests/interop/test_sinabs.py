"""sinabs 3.1: batch first inside, squeeze layers, neuron conventions, and mistakes."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg import analysis
from tempreg.functional import lif
from tempreg.interop import sinabs as interop
from tempreg.surrogate import DERIVATIVES
from tests.interop.framework import (
    BATCH,
    CLASSES,
    KEPT,
    STEPS,
    Row,
    check_equals,
    check_golden,
    check_row,
    data,
    documented_rows,
    native,
    needs,
    with_weights_of,
)

sl = needs("sinabs.layers")
activation = needs("sinabs.activation")
TAU = -1 / math.log(KEPT)


def triangle(v: Tensor, threshold: Tensor) -> Tensor:
    return DERIVATIVES["triangle"](v - threshold, 1.0)


def neurons(kind: str = "LIF", **options: Any) -> Any:
    ours = {
        "spike_fn": activation.SingleSpike,
        "reset_fn": activation.MembraneReset(),
        "surrogate_grad_fn": triangle,
    }
    if kind.startswith("LIF"):
        ours.update(tau_mem=TAU, norm_input=False)
    return getattr(sl, kind)(**{**ours, **options})


def single(**options: Any) -> nn.Module:
    """In float32, the dtype of sinabs' spikes."""
    return native(**options).float()


def network(**options: Any) -> nn.Module:
    made = [neurons("LIFSqueeze", **{"num_timesteps": STEPS, **options}) for _ in range(2)]
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), made[0], nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), made[1], nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(24, CLASSES),
    )  # fmt: skip


def opened() -> nn.Module:
    """[B, T, ...] between layers that aren't squeeze layers."""
    parts = [sl.Repeat(m) if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.AvgPool2d)) else m
             for m in network()]  # fmt: skip
    parts[2], parts[6], parts[8] = neurons(), neurons(), nn.Flatten(2)
    return nn.Sequential(*parts)


@pytest.mark.parametrize("soft", [False, True])
def test_equals_a_network_of_ours(soft: bool) -> None:
    ours = single(**({"v_reset": None} if soft else {"detach_reset": True}))
    reset = activation.MembraneSubtract() if soft else activation.MembraneReset()
    theirs = with_weights_of(network(reset_fn=reset), ours)
    check_equals(interop.TimeFirst(theirs, num_steps=STEPS, num_classes=CLASSES), ours)


def test_equals_a_network_of_ours_without_squeeze_layers() -> None:
    ours = single(detach_reset=True)
    check_equals(interop.TimeFirst(with_weights_of(opened(), ours), num_steps=STEPS), ours)


def test_as_many_samples_as_timesteps() -> None:
    """The one case in which a shape can't tell batch from time: layers still come apart right."""
    ours = single(detach_reset=True).eval()
    model = interop.TimeFirst(with_weights_of(network(), ours), num_steps=STEPS).eval()
    x, y = data(torch.float32)
    x, y = torch.cat([x, x.flip(0)], dim=1)[:, :STEPS], torch.tensor([0, 1, 2, 0, 1])
    torch.testing.assert_close(model(x), ours(x), rtol=1e-4, atol=1e-5)
    rates = [analysis.spikes(m, x).rate for m in (model, ours)]
    torch.testing.assert_close(*map(torch.from_numpy, rates))
    norms = [analysis.temporal_gradients(m, x, y, tempreg.TETLoss()).matrix for m in (model, ours)]
    torch.testing.assert_close(*map(torch.from_numpy, norms), rtol=1e-3, atol=1e-6)


def test_time_constants_learn_but_are_not_penalised() -> None:
    net = network()
    assert net[2].tau_mem.requires_grad
    penalised = set(tempreg.TRTLoss(net).penalised_parameters())
    assert penalised == {f"{i}.weight" for i in (0, 1, 4, 5, 9)}


def test_golden() -> None:
    class Readout(nn.Module):
        """A leaky integrator that forgets all: the input itself."""

        def __init__(self, parts: nn.ModuleDict) -> None:
            super().__init__()
            self.conv, self.bn, self.head = parts["conv"], parts["bn"], parts["head"]
            self.leak = sl.ExpLeak(tau_mem=1e-3)

        def forward(self, x: Tensor) -> Tensor:
            return self.leak(x)

    check_golden(lambda parts, steps: interop.TimeFirst(Readout(parts), num_steps=steps))


def test_each_pass_is_fresh_and_other_models_are_left_alone() -> None:
    x, _ = data(torch.float32)
    net, other = network().eval(), network().eval()
    model = interop.TimeFirst(net, num_steps=STEPS)
    other(x.transpose(0, 1).flatten(0, 1))
    before = other[2].v_mem.clone()
    assert before.any()
    first = model(x)
    first.sum().backward()  # after the reset, which must not have touched the graph
    assert torch.equal(first, model(x))
    assert model(x[:, :2]).shape == (STEPS, 2, CLASSES)
    assert torch.equal(other[2].v_mem, before)
    copy.deepcopy(model)


def test_state_of_another_batch() -> None:
    x, _ = data(torch.float32)
    net = network()
    model = interop.TimeFirst(net, num_steps=STEPS)
    net(x.transpose(0, 1).flatten(0, 1))
    with pytest.raises(ValueError, match=r"'2' still has the state 'v_mem' .*another batch.*reset"):
        model(x)
    interop.reset(net)
    model(x)


def test_wrong_use() -> None:
    x, _ = data(torch.float32)
    with pytest.raises(ValueError, match=r"have 3 timesteps, but num_steps=5.*transpose\(0, 1\)"):
        interop.TimeFirst(network(), num_steps=STEPS)(x.transpose(0, 1))
    with pytest.raises(ValueError, match=r"'2' was made for .*num_timesteps=3.*num_timesteps=5"):
        interop.TimeFirst(network(num_timesteps=3), num_steps=STEPS)(x)
    fixed = network(batch_size=5, num_timesteps=None)
    fixed = network(batch_size=5, num_timesteps=None)
    with pytest.raises(ValueError, match=r"batch_size=5 .*would mix the two"):
        interop.TimeFirst(fixed, num_steps=STEPS)(x)
    ending = nn.Sequential(network(), nn.Unflatten(0, (BATCH, STEPS)), Mean())
    with pytest.raises(ValueError, match=r"returned \[3, 3\], without timesteps"):
        interop.TimeFirst(ending, num_steps=STEPS)(x)
    turned = nn.Sequential(network(), nn.Unflatten(0, (BATCH, STEPS)), Turn())
    with pytest.raises(ValueError, match=r"time and batch are swapped"):
        interop.TimeFirst(turned, num_steps=STEPS)(x)
    with pytest.raises(ValueError, match=r"a tuple of 2 .*say which"):
        interop.TimeFirst(nn.Sequential(network(), Twice()), num_steps=STEPS)(x)


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=1)


class Turn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1)


class Twice(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def runs(made: nn.Module) -> Any:
    def run(x: Tensor) -> Tensor:
        made.to(x.dtype)
        interop.reset(made)
        return made(x.unsqueeze(0))[0]

    return run


ONE = torch.ones(1, 1)
SMALL = torch.rand(20, 200, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 0.9
STRONG = SMALL * 8
ROWS = {
    "`LIF(tau_mem=3.476, norm_input=False, spike_fn=SingleSpike, reset_fn=MembraneReset())`": Row(
        runs(neurons()), lambda x: lif(x, tau=4 / 3, detach_reset=True), gradients=True
    ),
    "the same, beside `detach_reset=False`": Row(
        runs(neurons()), lambda x: lif(x, tau=4 / 3), gradients=False
    ),
    "`LIF(..., norm_input=True)` (the default)": Row(
        runs(neurons(norm_input=True)), lambda x: lif(x / 4, tau=4 / 3, detach_reset=True),
        gradients=True, x=STRONG,
    ),
    "`LIF(..., norm_input=True)`, its input not scaled": Row(
        runs(neurons(norm_input=True)), lambda x: lif(x, tau=4 / 3), equal=False
    ),
    "`LIF(..., reset_fn=MembraneSubtract())` (the default)": Row(
        runs(neurons(reset_fn=activation.MembraneSubtract())),
        lambda x: lif(x, tau=4 / 3, v_reset=None), gradients=True,
    ),
    "`LIF(..., spike_fn=MultiSpike)` (the default), h below 2 v_threshold": Row(
        runs(neurons(spike_fn=activation.MultiSpike)),
        lambda x: lif(x, tau=4 / 3, detach_reset=True), gradients=True, x=SMALL,
    ),
    "`LIF(..., spike_fn=MultiSpike)` (the default), any input": Row(
        runs(neurons(spike_fn=activation.MultiSpike)), lambda x: lif(x, tau=4 / 3), equal=False
    ),
    "`LIF(..., reset_fn=MembraneReset(-0.5))`": Row(
        runs(neurons(reset_fn=activation.MembraneReset(-0.5))),
        lambda x: lif(x, tau=4 / 3, v_reset=-0.5), equal=False,
    ),
    "`LIF(..., min_v_mem=0.0)`": Row(
        runs(neurons(min_v_mem=0.0)), lambda x: lif(x, tau=4 / 3), equal=False
    ),
    "`LIF(...)` at h = v_threshold": Row(
        runs(neurons()), lambda x: lif(x, tau=4 / 3), equal=False, x=ONE
    ),
    "`IAF(spike_fn=SingleSpike, reset_fn=MembraneReset())`": Row(
        runs(neurons("IAF")), lambda x: lif(x, tau=1.0, detach_reset=True), gradients=True
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_convention(row: str) -> None:
    check_row(ROWS[row])


def test_every_documented_convention_is_tested() -> None:
    assert documented_rows("sinabs") == list(ROWS)
