"""snnTorch 1.0: (spikes, membranes), hidden states, neuron conventions, and mistakes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import tempreg
from tempreg.functional import lif
from tempreg.interop import norse
from tempreg.interop import snntorch as interop
from tempreg.surrogate import Spike
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

snntorch = needs("snntorch")
surrogate = needs("snntorch.surrogate")


def triangle(u: Tensor) -> Tensor:
    return Spike.apply(u, 0.0, "triangle", 1.0)


def leaky(beta: Any = KEPT, **options: Any) -> nn.Module:
    return snntorch.Leaky(beta, **{"spike_grad": triangle, "reset_mechanism": "zero", **options})


class Network(nn.Module):
    """Loops over time itself, with states in local variables."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm1, self.lif1 = nn.BatchNorm2d(4), leaky(**options)
        self.conv2 = nn.Conv2d(4, 6, 3, padding=1, bias=False)
        self.norm2, self.lif2 = nn.BatchNorm2d(6), leaky(**options)
        self.head = nn.Linear(24, CLASSES)
        self.readout = leaky(0.0, reset_mechanism="none")

    def forward(self, frames: Tensor) -> Any:
        m1, m2, m3 = (m.reset_mem() for m in (self.lif1, self.lif2, self.readout))
        spikes, membranes, pool = [], [], nn.functional.avg_pool2d
        for x in frames:
            s, m1 = self.lif1(self.norm1(self.conv1(x)), m1)
            s, m2 = self.lif2(self.norm2(self.conv2(pool(s, 2))), m2)
            s, m3 = self.readout(self.head(pool(s, 2).flatten(1)), m3)
            spikes.append(s)
            membranes.append(m3)
        return spikes, torch.stack(membranes)


def hidden(**options: Any) -> nn.Module:
    """Takes one timestep a call; its neurons keep their states."""
    options = {"init_hidden": True, **options}
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), leaky(**options),
        nn.AvgPool2d(2), nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6),
        leaky(**options), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, CLASSES),
    ).double()  # fmt: skip


@pytest.mark.parametrize("delay", [True, False])
def test_equals_a_network_of_ours(delay: bool) -> None:
    ours = native(detach_reset=delay)
    theirs = with_weights_of(hidden(reset_delay=delay), ours)
    check_equals(interop.TimeFirst(theirs, num_steps=STEPS, per_step=True), ours)


def test_membranes_are_the_same_logits() -> None:
    ours = native(detach_reset=True).eval()
    theirs = with_weights_of(Network(), ours).eval()
    x, _ = data()
    model = interop.TimeFirst(theirs, num_steps=STEPS, output=1)
    torch.testing.assert_close(model(x), ours(x), rtol=1e-6, atol=1e-9)
    spikes = interop.TimeFirst(theirs, num_steps=STEPS, output=0)(x)
    assert torch.equal(spikes, (ours(x) > 1).double())


def test_learnable_constants_are_not_penalised() -> None:
    net = Network(learn_beta=True, learn_threshold=True)
    names = set(dict(net.named_parameters()))
    constants = {f"lif{i}.{name}" for i in (1, 2) for name in ("beta", "threshold")}
    biases = {name for name in names if "bias" in name}
    assert names - set(tempreg.TRTLoss(net).penalised_parameters()) == constants | biases
    recurrent = snntorch.RLeaky(0.5, linear_features=3)
    assert set(tempreg.TRTLoss(recurrent).penalised_parameters()) == {"recurrent.weight"}
    vector = snntorch.Leaky(torch.full((4, 1, 1), 0.5), learn_beta=True)
    model = nn.Sequential(nn.Linear(2, 2), vector)
    assert set(tempreg.TRTLoss(model, select="weights").penalised_parameters()) == {"0.weight"}


def test_golden() -> None:
    class Readout(nn.Module):
        """Membranes that don't leak: the input itself."""

        def __init__(self, parts: nn.ModuleDict) -> None:
            super().__init__()
            self.conv, self.bn, self.head = parts["conv"], parts["bn"], parts["head"]
            self.lif = leaky(0.0, reset_mechanism="none", learn_threshold=True)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            made = [self.lif(step, torch.zeros_like(step)) for step in x]
            return torch.stack([s for s, _ in made]), torch.stack([m for _, m in made])

    check_golden(lambda parts, steps: interop.TimeFirst(
        Readout(parts), num_steps=steps, output=1, batch_first=False
    ))  # fmt: skip


def test_each_pass_is_fresh_and_other_models_are_left_alone() -> None:
    x, _ = data()
    net, other = hidden().eval(), hidden().eval()
    model = interop.TimeFirst(net, num_steps=STEPS, per_step=True)
    other(x[0])
    before = other[2].mem.clone()
    assert before.any()
    first = model(x)
    first.sum().backward()
    assert torch.equal(first, model(x))
    assert model(x[:, :2]).shape == (STEPS, 2, CLASSES)
    assert torch.equal(other[2].mem, before)
    assert not net[2].mem.numel()
    copy.deepcopy(model)


def test_state_of_another_batch() -> None:
    x, _ = data()
    net = hidden()
    model = interop.TimeFirst(net, num_steps=STEPS, per_step=True)
    net(x[0])
    with pytest.raises(
        ValueError, match=r"'2' still has the state 'mem' .* of another batch.*reset"
    ):
        model(x)
    interop.reset(net)
    model(x)

    class Keeps(Network):
        def forward(self, frames: Tensor) -> Any:
            spikes, membranes = super().forward(frames)
            self.last = spikes
            return spikes, membranes

    with pytest.raises(ValueError, match=r"Keeps keeps 'last' after the forward pass"):
        interop.TimeFirst(Keeps().double(), num_steps=STEPS, output=1)(x)

    class Counts(Network):
        """A term of a loss, and a weight that pruning computes anew, are no states."""

        def forward(self, frames: Tensor) -> Any:
            spikes, membranes = super().forward(frames)
            self.rate = torch.stack(spikes).mean()
            return spikes, membranes

    counts = Counts().double()
    prune.random_unstructured(counts.head, "weight", 0.5)
    assert counts.head.weight.grad_fn is not None
    interop.TimeFirst(counts, num_steps=STEPS, output=1)(x[:, [0, 1, 2]])
    assert counts.rate.requires_grad


def test_wrong_output_and_layout() -> None:
    x, _ = data()
    net = Network().double()
    with pytest.raises(ValueError, match=r"tuple of 2 .*say which .* \(spikes, membrane\) pair"):
        interop.TimeFirst(net, num_steps=STEPS)(x)
    with pytest.raises(ValueError, match=r"have 3 timesteps, but num_steps=5.*transpose\(0, 1\)"):
        interop.TimeFirst(net, num_steps=STEPS, output=1)(x.transpose(0, 1))
    flat = nn.Sequential(nn.Flatten(2), nn.Linear(128, 3), leaky(init_hidden=True)).double()
    with pytest.raises(ValueError, match=r"was called 1 times for T=3: .*per_step=True"):
        interop.TimeFirst(flat, num_steps=BATCH)(x[:BATCH])
    with pytest.raises(ValueError, match=r"given \[5, 3, 3\] for a batch of 3: .*per_step=True"):
        interop.TimeFirst(flat, num_steps=STEPS)(x)

    class Whole(Network):
        def forward(self, frames: Tensor) -> Any:
            return super().forward(x)[1]

    whole = interop.TimeFirst(Whole().double(), num_steps=STEPS, per_step=True)

    class Whole(Network):
        def forward(self, frames: Tensor) -> Any:
            return super().forward(x)[1]

    whole = interop.TimeFirst(Whole().double(), num_steps=STEPS, per_step=True)
    with pytest.raises(ValueError, match=r"for one timestep .* returned \[5, 3, 3\]"):
        whole(x)
    with pytest.raises(ValueError, match=r"batch_first is about models"):
        interop.TimeFirst(net, num_steps=STEPS, per_step=True, batch_first=True)
    with pytest.raises(ValueError, match=r"neurons of snnTorch, but interop.norse is for"):
        norse.TimeFirst(net, num_steps=STEPS)


def runs(made: nn.Module) -> Any:
    def run(x: Tensor) -> Tensor:
        made.to(x.dtype)
        mem, spikes = torch.zeros_like(x[0]), []
        for step in x:
            s, mem = made(step, mem)
            spikes.append(s)
        return torch.stack(spikes)

    return run


ONE = torch.ones(1, 1)
SMALL = torch.linspace(0, 0.9, 400, dtype=torch.float64).view(20, 20).flip(1)
ROWS = {
    '`Leaky(beta=0.75, reset_mechanism="zero")`': Row(
        runs(leaky()), lambda x: lif(x, tau=4 / 3, detach_reset=True), gradients=True
    ),
    'the same, beside `detach_reset=False`': Row(
        runs(leaky()), lambda x: lif(x, tau=4 / 3), gradients=False
    ),
    '`Leaky(beta=0.75, reset_mechanism="zero", reset_delay=False)`': Row(
        runs(leaky(reset_delay=False)), lambda x: lif(x, tau=4 / 3), gradients=True
    ),
    '`Leaky(beta=0.75)`': Row(
        runs(leaky(reset_mechanism="subtract")), lambda x: lif(x, tau=4 / 3, v_reset=None),
        equal=False,
    ),
    '`Leaky(beta=1.0)`': Row(
        runs(leaky(1.0, reset_mechanism="subtract")),
        lambda x: lif(x, tau=1.0, v_reset=None, detach_reset=True), gradients=True,
    ),
    '`Leaky(beta=0.75, reset_delay=False)`, h never above 2 v_threshold': Row(
        runs(leaky(reset_mechanism="subtract", reset_delay=False)),
        lambda x: lif(x, tau=4 / 3, v_reset=None), gradients=True, x=SMALL,
    ),
    '`Leaky(beta=0.75, reset_delay=False)`, any input': Row(
        runs(leaky(reset_mechanism="subtract", reset_delay=False)),
        lambda x: lif(x, tau=4 / 3, v_reset=None), equal=False,
    ),
    '`Leaky(..., reset_mechanism="none")`': Row(
        runs(leaky(reset_mechanism="none")), lambda x: lif(x, tau=4 / 3), equal=False
    ),
    '`Leaky(...)` at h = v_threshold': Row(
        runs(leaky()), lambda x: lif(x, tau=4 / 3), x=ONE
    ),
    '`surrogate.sigmoid(slope=4)`': Row(
        runs(leaky(spike_grad=surrogate.sigmoid(slope=4))),
        lambda x: lif(x, tau=4 / 3, surrogate="sigmoid", surrogate_param=4.0, detach_reset=True),
        gradients=True,
    ),
    '`surrogate.atan(alpha=2.0)`': Row(
        runs(leaky(spike_grad=surrogate.atan(alpha=2.0))),
        lambda x: lif(x, tau=4 / 3, surrogate="atan", surrogate_param=2.0, detach_reset=True),
        gradients=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_convention(row: str) -> None:
    check_row(ROWS[row])


def test_every_documented_convention_is_tested() -> None:
    assert documented_rows("snnTorch") == list(ROWS)
