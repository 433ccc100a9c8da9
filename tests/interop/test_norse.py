"""Norse 1.1: explicit states, neuron conventions, and mistakes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg.functional import lif
from tempreg.interop import norse as interop
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

norse = needs("norse.torch")
reset = needs("norse.torch.functional.reset")
GAIN = 1 - KEPT


def parameters(gain: float = GAIN, kind: str = "LIFBoxParameters", **options: Any) -> Any:
    """dt * tau_mem_inv = gain, at Norse's dt of 0.001."""
    inverse = torch.tensor(1000 * gain, dtype=torch.float64)
    return getattr(norse, kind)(
        **{"tau_mem_inv": inverse, "method": "triangle", "alpha": 1.0, **options}
    )


def cells(**options: Any) -> nn.Module:
    """Takes one timestep a call."""
    made = [norse.LIFBoxCell(parameters(**options)) for _ in range(2)]
    return norse.SequentialState(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), made[0], nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), made[1], nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(24, CLASSES),
    ).double()  # fmt: skip


def sequence() -> nn.Module:
    """Takes whole sequences; at once without synaptic current, dt * tau_syn_inv = 1."""
    made = [norse.LIF(parameters(kind="LIFParameters", tau_syn_inv=torch.tensor(1000.0)))
            for _ in range(2)]  # fmt: skip
    return norse.SequentialState(
        norse.Lift(nn.Conv2d(2, 4, 3, padding=1, bias=False)), norse.Lift(nn.BatchNorm2d(4)),
        made[0], norse.Lift(nn.AvgPool2d(2)),
        norse.Lift(nn.Conv2d(4, 6, 3, padding=1, bias=False)), norse.Lift(nn.BatchNorm2d(6)),
        made[1], norse.Lift(nn.AvgPool2d(2)), nn.Flatten(2), nn.Linear(24, CLASSES),
    ).double()  # fmt: skip


@pytest.mark.parametrize("per_step", [True, False])
def test_equals_a_network_of_ours(per_step: bool) -> None:
    ours = native()
    theirs = with_weights_of(cells() if per_step else sequence(), ours, GAIN)
    check_equals(interop.TimeFirst(theirs, num_steps=STEPS, per_step=per_step), ours, GAIN)


def test_learnable_constants_are_not_penalised() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inverse = nn.Parameter(torch.tensor(250.0))
            self.fc = nn.Linear(2, 3)
            self.lif = norse.LIFBoxCell(parameters(tau_mem_inv=self.inverse))
            self.recurrent = norse.LIFRecurrent(3, 4)

    penalised = set(tempreg.TRTLoss(Net()).penalised_parameters())
    assert penalised == {"fc.weight", "recurrent.input_weights", "recurrent.recurrent_weights"}


def test_golden() -> None:
    class Readout(nn.Module):
        """A leaky integrator with dt * tau_inv = 1: the input itself, and the state."""

        def __init__(self, parts: nn.ModuleDict) -> None:
            super().__init__()
            self.conv, self.bn, self.head = parts["conv"], parts["bn"], parts["head"]
            inverse = torch.tensor(1000.0, dtype=torch.float64)
            self.li = norse.LI(norse.LIParameters(tau_syn_inv=inverse, tau_mem_inv=inverse))

        def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
            return self.li(x, state)

    check_golden(lambda parts, steps: interop.TimeFirst(
        Readout(parts), num_steps=steps, batch_first=False
    ))  # fmt: skip


def test_state_is_passed_on_and_not_kept() -> None:
    x, _ = data()
    net = cells().eval()
    model = interop.TimeFirst(net, num_steps=STEPS, per_step=True)
    expected, state = [], None
    for step in x:
        out, state = net(step, state)
        expected.append(out)
    assert torch.equal(model(x), torch.stack(expected))
    assert torch.equal(model(x), torch.stack(expected))

    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.state = sequence(), None

        def forward(self, x: Tensor) -> Tensor:
            out, self.state = self.net(x, self.state)
            return out

    with pytest.raises(ValueError, match=r"Keeps keeps 'state' after the forward pass"):
        interop.TimeFirst(Keeps(), num_steps=STEPS)(x)


def test_wrong_use() -> None:
    x, _ = data()
    with pytest.raises(ValueError, match=r"have 3 timesteps, but num_steps=5.*transpose\(0, 1\)"):
        interop.TimeFirst(sequence(), num_steps=STEPS)(x.transpose(0, 1))
    whole = norse.SequentialState(nn.Linear(8, 4), norse.LIF()).double()
    with pytest.raises(ValueError, match=r"'1' \(Norse's LIF\) takes whole sequences.*per_step=F"):
        interop.TimeFirst(whole, num_steps=STEPS, per_step=True)(x[:, :, 0, 0])
    flat = norse.SequentialState(nn.Linear(8, 4), norse.LIFBoxCell(parameters())).double()
    with pytest.raises(ValueError, match=r"'1' .*\[5, 3, 4\] for a batch of 3.*per_step=True"):
        interop.TimeFirst(flat, num_steps=STEPS)(x[:, :, 0, 0])

    class Drops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = cells()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)[0]

    with pytest.raises(ValueError, match=r"must return \(outputs, state\), for its neurons would"):
        interop.TimeFirst(Drops(), num_steps=STEPS, per_step=True)(x)

    class Both(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            out, _ = self.net(x)
            return out, out.square()

    both = interop.TimeFirst(Both(sequence()), num_steps=STEPS)
    with pytest.raises(ValueError, match=r"a tuple of 2 .*say which"):
        both(x)
    chosen = interop.TimeFirst(both.model, num_steps=STEPS, output=1)(x)
    assert chosen.shape == (STEPS, BATCH, CLASSES)
    assert (chosen >= 0).all()
    square = torch.cat([x, x], dim=1)[:, :STEPS]
    with pytest.raises(ValueError, match=r"can't tell time from batch"):
        interop.TimeFirst(sequence(), num_steps=STEPS)(square)
    learned = interop.TimeFirst(sequence(), num_steps=STEPS)
    learned(x)
    assert learned(square).shape == (5, 5, CLASSES)


def runs(cell: nn.Module) -> Any:
    def run(x: Tensor) -> Tensor:
        state, spikes = None, []
        for step in x:
            s, state = cell(step, state)
            spikes.append(s)
        return torch.stack(spikes)

    return run


def box(*args: Any, **options: Any) -> Any:
    return runs(norse.LIFBoxCell(parameters(*args, **options)))


def with_current(syn: float) -> Any:
    options = {"kind": "LIFParameters", "tau_syn_inv": torch.tensor(syn)}
    return runs(norse.LIFCell(parameters(**options)))


ONE = torch.ones(1, 1)
STRONG = torch.rand(20, 200, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 8
ROWS = {
    "`LIFBoxCell`, dt · tau_mem_inv = 0.25": Row(
        box(), lambda x: lif(x / 4, tau=4 / 3), gradients=True, x=STRONG
    ),
    "`LIFBoxCell`, dt · tau_mem_inv = 0.25, its input not scaled": Row(
        box(), lambda x: lif(x, tau=4 / 3), equal=False
    ),
    "`LIFBoxCell(..., v_reset=-0.5)`": Row(
        box(v_reset=torch.tensor(-0.5)), lambda x: lif(x / 4, tau=4 / 3, v_reset=-0.5),
        gradients=True, x=STRONG,
    ),
    "`LIFBoxCell(..., reset_method=reset_subtract)`": Row(
        box(reset_method=reset.reset_subtract), lambda x: lif(x / 4, tau=4 / 3, v_reset=None),
        gradients=True, x=STRONG,
    ),
    "`LIFBoxCell(..., v_leak=0.2)`": Row(
        box(v_leak=torch.tensor(0.2)), lambda x: lif(x / 4, tau=4 / 3), equal=False, x=STRONG
    ),
    "`LIFCell`, dt · tau_syn_inv = 1": Row(
        with_current(1000.0), lambda x: lif(x / 4, tau=4 / 3), gradients=True, x=STRONG
    ),
    "`LIFCell`, dt · tau_syn_inv = 0.2 (the default)": Row(
        with_current(200.0), lambda x: lif(x / 4, tau=4 / 3), equal=False, x=STRONG
    ),
    "`LIFBoxCell` at h = v_threshold": Row(
        box(), lambda x: lif(x / 4, tau=4 / 3), x=4 * ONE
    ),
    '`method="triangle", alpha=1.0`': Row(
        box(), lambda x: lif(x / 4, tau=4 / 3, surrogate_param=1.0), gradients=True, x=STRONG
    ),
    '`method="super"` (the default)': Row(
        box(method="super"), lambda x: lif(x / 4, tau=4 / 3), gradients=False, x=STRONG
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_convention(row: str) -> None:
    check_row(ROWS[row])


def test_every_documented_convention_is_tested() -> None:
    assert documented_rows("Norse") == list(ROWS)
