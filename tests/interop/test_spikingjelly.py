"""SpikingJelly 2.0: step modes, states, neuron conventions, and mistakes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg.functional import lif
from tempreg.interop import spikingjelly
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

neuron = needs("spikingjelly.activation_based.neuron")
layer = needs("spikingjelly.activation_based.layer")
functional = needs("spikingjelly.activation_based.functional")
surrogate = needs("spikingjelly.activation_based.surrogate")


def node(kind: str = "LIFNode", **options: Any) -> nn.Module:
    if kind == "LIFNode":
        options = {"tau": 1 / (1 - KEPT), "decay_input": False, **options}
    triangle = surrogate.PiecewiseQuadratic(alpha=1.0)
    return getattr(neuron, kind)(**{"surrogate_function": triangle, **options})


def network(mode: str, **options: Any) -> nn.Module:
    made = nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4), node(**options),
        layer.AvgPool2d(2), layer.Conv2d(4, 6, 3, padding=1, bias=False), layer.BatchNorm2d(6),
        node(**options), layer.AvgPool2d(2), layer.Flatten(), layer.Linear(24, CLASSES),
    )  # fmt: skip
    functional.set_step_mode(made, mode)
    return made


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("detach", [False, True])
def test_equals_a_network_of_ours(mode: str, detach: bool) -> None:
    ours = native(detach_reset=detach)
    theirs = with_weights_of(network(mode, detach_reset=detach), ours)
    check_equals(spikingjelly.TimeFirst(theirs, num_steps=STEPS, num_classes=CLASSES), ours)


def test_learnable_tau_is_analysed_and_not_penalised() -> None:
    net = network("m").double()
    net[2] = node("ParametricLIFNode", init_tau=4.0, decay_input=False, step_mode="m")
    with_weights_of(net, native())
    model = spikingjelly.TimeFirst(net, num_steps=STEPS)
    penalised = tempreg.TRTLoss(net).penalised_parameters()
    left = [n for n, _ in net.named_parameters() if n not in penalised]
    assert left == ["1.bias", "2.w", "5.bias", "9.bias"]
    assert "2.w" in tempreg.TRTLoss(net, select=lambda name, p: True).penalised_parameters()
    x, y = data()
    exact = tempreg.analysis.fisher_information(model, x, y)
    # By definition: the squared gradient of each sample's loss of the mean logits up to t.
    model.eval()
    logits = model(x).cumsum(dim=0) / torch.arange(1, STEPS + 1)[:, None, None]
    losses = [[nn.functional.cross_entropy(o, label) for o, label in zip(step, y, strict=True)]
              for step in logits]  # fmt: skip
    squares = [[float(torch.autograd.grad(loss, net[2].w, retain_graph=True)[0]) ** 2
                for loss in row] for row in losses]  # fmt: skip
    expected = torch.tensor(squares).mean(dim=1)
    found = torch.tensor(exact.per_layer[exact.layers.index("model.2")])
    torch.testing.assert_close(found.float(), expected, rtol=1e-4, atol=0)
    assert (expected > 0).any()


def test_golden() -> None:
    class Readout(nn.Module):
        """The membrane of an integrator, of input differences: the input itself."""

        def __init__(self, parts: nn.Module) -> None:
            super().__init__()
            self.parts = parts
            self.integrator = node("IFNode", v_threshold=1e9, store_v_seq=True, step_mode="m")
            self.constant = node("ParametricLIFNode", step_mode="m")

        def forward(self, x: Tensor) -> Tensor:
            self.integrator(torch.diff(x, dim=0, prepend=torch.zeros_like(x[:1])))
            return self.integrator.v_seq

    def wrapped(parts: nn.ModuleDict, steps: int) -> nn.Module:
        made = Readout(nn.ModuleDict())
        made.conv, made.bn, made.head = parts["conv"], parts["bn"], parts["head"]
        return spikingjelly.TimeFirst(made, num_steps=steps, batch_first=False)

    check_golden(wrapped)


def test_each_pass_is_fresh_and_other_models_are_left_alone() -> None:
    x, _ = data()
    net, other = network("m").double().eval(), network("m").double().eval()
    model = spikingjelly.TimeFirst(net, num_steps=STEPS)
    other(x)
    before = other[2].v.clone()
    first = model(x)
    assert torch.equal(first, model(x))
    assert model(x[:, :2]).shape == (STEPS, 2, CLASSES)
    assert torch.equal(other[2].v, before)
    assert net[2].v == 0.0  # at rest, so that no graph is held and the model can be copied
    copy.deepcopy(model)


def test_state_of_another_batch() -> None:
    x, _ = data()
    net = network("m").double()
    model = spikingjelly.TimeFirst(net, num_steps=STEPS)
    net(x)
    with pytest.raises(ValueError, match=r"'2' still has the state 'v' .* of another batch.*reset"):
        model(x)
    spikingjelly.reset(net)
    model(x)


def test_time_and_batch_swapped() -> None:
    x, _ = data()
    model = spikingjelly.TimeFirst(network("m").double(), num_steps=STEPS)
    with pytest.raises(ValueError, match=r"have 3 timesteps, but num_steps=5.*transpose\(0, 1\)"):
        model(x.transpose(0, 1))
    with pytest.raises(ValueError, match=r"have 4 timesteps, but num_steps=5: time is the first"):
        model(x[:4])


def test_wrong_outputs() -> None:
    x, _ = data()

    class Wrapped(nn.Module):
        def __init__(self, ending: Any) -> None:
            super().__init__()
            self.net, self.ending = network("m").double(), ending

        def forward(self, x: Tensor) -> Any:
            return self.ending(self.net(x))

    def run(ending: Any, frames: Tensor = x, **options: Any) -> Tensor:
        return spikingjelly.TimeFirst(Wrapped(ending), num_steps=STEPS, **options)(frames)

    with pytest.raises(ValueError, match=r"without timesteps.*before a mean or sum over time"):
        run(lambda o: o.mean(dim=0))
    with pytest.raises(ValueError, match=r"time and batch are swapped: say batch_first=True"):
        run(lambda o: o.transpose(0, 1), batch_first=False)
    assert run(lambda o: o.transpose(0, 1)).shape == (STEPS, BATCH, CLASSES)
    square = torch.cat([x, x], dim=1)[:, :STEPS]
    with pytest.raises(ValueError, match=r"both 5, so .* can't tell.*batch_first=False"):
        run(lambda o: o, square)
    torch.manual_seed(0)
    plain = run(lambda o: o, square, batch_first=False)
    torch.manual_seed(0)
    assert torch.equal(run(lambda o: o.transpose(0, 1), square, batch_first=True), plain)
    with pytest.raises(ValueError, match=r"3 outputs at each timestep, but num_classes=10"):
        run(lambda o: o, num_classes=10)
    with pytest.raises(ValueError, match=r"a tuple of 2 \(a tensor .*say which"):
        run(lambda o: (o, o))
    with pytest.raises(ValueError, match=r"which has no output 7"):
        run(lambda o: (o, o), output=7)
    with pytest.raises(ValueError, match=r"output 1 of Wrapped is a str, no tensor"):
        run(lambda o: (o, "x"), output=1)
    with pytest.raises(ValueError, match=r"returns one tensor .*leave output=0 out"):
        run(lambda o: o, output=0)
    assert run(lambda o: {"logits": o}, output="logits").shape == (STEPS, BATCH, CLASSES)


def test_wrong_models() -> None:
    x, _ = data()
    with pytest.raises(ValueError, match=r"has no neurons known here, but interop\.spikingjelly"):
        spikingjelly.TimeFirst(nn.Linear(2, 2), num_steps=2)
    with pytest.raises(ValueError, match="num_steps must be >= 1"):
        spikingjelly.TimeFirst(network("m"), num_steps=0)
    mixed = network("m").double()
    mixed[2].step_mode = "s"
    with pytest.raises(ValueError, match=r"step modes 's' and 'm': say per_step"):
        spikingjelly.TimeFirst(mixed, num_steps=STEPS)
    with pytest.raises(ValueError, match=r"'2' .* takes one timestep .* was given \[5, 3, 4"):
        spikingjelly.TimeFirst(mixed, num_steps=STEPS, per_step=False)(x)
    with pytest.raises(ValueError, match=r"'2' .* takes whole sequences, and would take a batch"):
        spikingjelly.TimeFirst(nn.Sequential(*network("m")[:3]).double()[2:], num_steps=STEPS,
                               per_step=True)(x[:, :, 0, 0])  # fmt: skip
    contained = spikingjelly.TimeFirst(layer.MultiStepContainer(node()), num_steps=STEPS)
    with pytest.raises(ValueError, match=r"given \[7\] for a batch of 3: .* pass per_step=False"):
        contained(torch.rand(STEPS, BATCH, 7))


def test_static_input_is_shown_at_each_step() -> None:
    x, _ = data()
    model = spikingjelly.TimeFirst(network("s").double().eval(), num_steps=STEPS)
    assert torch.equal(model(x[0]), model(x[:1].expand(STEPS, -1, -1, -1, -1)))


def test_curvature_is_refused() -> None:
    x, y = data()
    model = spikingjelly.TimeFirst(network("m").double(), num_steps=STEPS)
    with pytest.raises(ValueError, match=r"SpikingJelly's 'model.2' can't"):
        tempreg.analysis.surrogate_curvature(model, x, y)


def runs(made: nn.Module) -> Any:
    def run(x: Tensor) -> Tensor:
        made.step_mode = "m"
        made.to(x.dtype)
        made.reset()
        return made(x)

    return run


ONE = torch.ones(1, 1)
ROWS = {
    "`LIFNode(tau=4.0, decay_input=False)`": Row(
        runs(node(tau=4.0)), lambda x: lif(x, tau=4 / 3), gradients=True
    ),
    "`LIFNode(tau=4.0, decay_input=False)`, its tau taken as ours": Row(
        runs(node(tau=4.0)), lambda x: lif(x, tau=4.0), equal=False
    ),
    "`LIFNode(tau=4.0, decay_input=True)`": Row(
        runs(node(tau=4.0, decay_input=True)), lambda x: lif(x / 4, tau=4 / 3), gradients=True
    ),
    "`LIFNode(tau=4.0, decay_input=True)`, its input not scaled": Row(
        runs(node(tau=4.0, decay_input=True)), lambda x: lif(x, tau=4 / 3), equal=False
    ),
    "`LIFNode(..., v_reset=None)`": Row(
        runs(node(tau=2.0, v_reset=None)), lambda x: lif(x, tau=2.0, v_reset=None), gradients=True
    ),
    "`LIFNode(..., v_threshold=1.0, v_reset=-0.5)`": Row(
        runs(node(tau=2.0, v_reset=-0.5)), lambda x: lif(x, tau=2.0, v_threshold=1.5),
        gradients=True,
    ),
    "`LIFNode(..., v_reset=-0.5)`, its v_reset taken as ours": Row(
        runs(node(tau=2.0, v_reset=-0.5)), lambda x: lif(x, tau=2.0, v_reset=-0.5), equal=False
    ),
    "`LIFNode(..., detach_reset=True)`": Row(
        runs(node(tau=2.0, detach_reset=True)), lambda x: lif(x, tau=2.0, detach_reset=True),
        gradients=True,
    ),
    "`LIFNode(...)` at h = v_threshold": Row(
        runs(node(tau=2.0)), lambda x: lif(x, tau=2.0), equal=False, x=ONE
    ),
    "`ParametricLIFNode(init_tau=4.0, decay_input=False)`": Row(
        runs(node("ParametricLIFNode", init_tau=4.0, decay_input=False)),
        lambda x: tempreg.PLIF(tau=4 / 3).to(x.dtype)(x), gradients=True,
    ),
    "`IFNode()`": Row(runs(node("IFNode")), lambda x: tempreg.IF()(x), gradients=True),
    "`surrogate.PiecewiseQuadratic(alpha=0.5)`": Row(
        runs(node(tau=2.0, surrogate_function=surrogate.PiecewiseQuadratic(alpha=0.5))),
        lambda x: lif(x, tau=2.0, surrogate_param=2.0), gradients=True,
    ),
    "`surrogate.Sigmoid(alpha=4.0)`": Row(
        runs(node(tau=2.0, surrogate_function=surrogate.Sigmoid(alpha=4.0))),
        lambda x: lif(x, tau=2.0, surrogate="sigmoid", surrogate_param=4.0), gradients=True,
    ),
    "`surrogate.ATan(alpha=2.0)`": Row(
        runs(node(tau=2.0, surrogate_function=surrogate.ATan(alpha=2.0))),
        lambda x: lif(x, tau=2.0, surrogate="atan", surrogate_param=2.0), gradients=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_convention(row: str) -> None:
    check_row(ROWS[row])


def test_every_documented_convention_is_tested() -> None:
    assert documented_rows("SpikingJelly") == list(ROWS)


def test_parallel_neurons_are_known_and_the_acausal_one_is_named() -> None:
    from tempreg.foreign import is_spiking, sees_later

    kinds = (neuron.PSN(4), neuron.MaskedPSN(2, 4), neuron.SlidingPSN(2))
    assert all(map(is_spiking, kinds))
    assert [sees_later(nn.Sequential(nn.ReLU(), kind)) for kind in kinds] == ["1", None, None]
    with pytest.raises(tempreg.errors.RequestError, match="1 has psn neurons"):
        tempreg.Stream(nn.Sequential(nn.ReLU(), kinds[0]), steps=4)
