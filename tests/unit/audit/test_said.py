"""What an audit says of networks without a fault to find, and of what is no network to audit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg.audit import AuditError
from tempreg.audit.batch import _gap
from tempreg.audit.check import Audit, Check
from tempreg.audit.precision import _relative
from tests.unit.audit.parts import Apply, Net, inputs, lif


def audited(*layers: nn.Module, **middle: nn.Module) -> tempreg.audit.Audit:
    torch.manual_seed(0)
    return tempreg.audit(nn.Sequential(*layers, Net(**middle)), inputs())


def test_order_that_changes_nothing_is_a_remark() -> None:
    found = audited().checks["time"]
    assert found.passed
    assert any("order of timesteps changes nothing" in said for said in found.remarks)
    assert not any("order" in said for said in audited(lif=lif()).checks["time"].remarks)


def test_a_network_of_its_first_frame_is_a_remark() -> None:
    """Reversed and turned inputs change it, later ones don't."""
    found = audited(Apply(lambda x: x[:1].expand_as(x)), lif=lif()).checks["time"]
    assert found.passed
    assert any("inputs of later timesteps change nothing" in said for said in found.remarks)


def test_of_no_neurons_nothing_is_claimed() -> None:
    checks = audited().checks
    for name in ("time", "spikes", "axis"):
        assert "no layer of neurons was recognised" in checks[name].sentence


def test_silent_layers_are_woken_up() -> None:
    """Neurons that never fire give one value, and so do those that always do."""
    quiet = Net(lif=tempreg.LIF(v_threshold=1e6))
    found = tempreg.audit(quiet, inputs())
    assert found.settings["silent layers that were woken up"] == ["lif"]
    assert audited(lif=lif()).settings["silent layers that were woken up"] == []


def test_a_copy_may_be_written_into() -> None:
    assert audited(Apply(lambda x: x.clone().mul_(2)), lif=lif()).checks["state"].passed


def _raises(x: Tensor) -> Tensor:
    raise KeyError("weights")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (_raises, "can't be run on inputs [4, 2, 6]: KeyError: 'weights'"),
        (lambda x: None, "returns a NoneType"),
        (lambda x: x[:0], "returns a tensor [0, 2, 6]"),
        (lambda x: x.argmax(2), "returns a tensor [4, 2]"),
    ],
)
def test_what_gives_nothing_to_look_at(made: Callable[[Tensor], Tensor], said: str) -> None:
    with pytest.raises(AuditError) as caught:
        tempreg.audit(Apply(made), inputs())
    assert said in str(caught.value)


def test_parameters_without_values() -> None:
    with pytest.raises(AuditError, match="no values yet"):
        tempreg.audit(nn.Linear(6, 3, device="meta"), inputs())


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_cannot_be(seed: int) -> None:
    with pytest.raises(AuditError, match="seed"):
        tempreg.audit(Net(lif=lif()), inputs(), seed=seed)


def test_stepwise_says_what_was_compared() -> None:
    """Of neurons that keep no state between calls: the first timesteps alone, and no pieces."""
    sentence = audited(lif=lif()).checks["stepwise"].sentence
    assert sentence == "a pass of the first timesteps alone gives the same as the whole one"


def test_how_far_a_sample_s_output_moves_with_the_batch() -> None:
    """By |2 - 1| + |0 - 0| over |2| + |0|, of the last of four."""
    beside = torch.tensor([[9.0, 9.0], [9.0, 9.0], [9.0, 9.0], [1.0, 0.0]])
    assert _gap(torch.tensor([[2.0, 0.0]]), beside) == 0.5
    assert _gap(torch.tensor([[2.0, 0.0]]), beside[:3]) is None
    assert _gap(torch.tensor([2.0, 0.0]), beside) is None


def test_an_audit_needs_no_tables_of_numbers() -> None:
    audit = Audit("Net", {"time": Check(True, "", 0.0, "it reads time")})
    assert audit.as_json()["details"] == []
    assert audit.passed


def test_a_network_of_one_timestep_a_call_is_called_so() -> None:
    torch.manual_seed(0)
    seen: list[torch.Size] = []
    network = nn.Sequential(nn.Flatten(), nn.Linear(inputs()[0, 0].numel(), 3))
    network.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    audit = tempreg.audit(network, inputs(), per_step=True)
    assert audit.settings["one timestep a call"] is True
    assert "it takes one timestep a call" in audit.checks["stepwise"].sentence
    assert {len(shape) for shape in seen} == {inputs().ndim - 1}


def test_of_a_network_that_draws_precision_isn_t_compared() -> None:
    drawn = audited(Apply(lambda x: x + torch.rand_like(x)), lif=lif()).checks
    for name in ("precision", "stepwise"):
        assert "the network draws random numbers when it is evaluated: not compared" in (
            drawn[name].sentence
        )


def test_a_difference_is_relative_to_what_it_is_from() -> None:
    assert _relative(torch.tensor([3.0, 5.0]), torch.tensor([4.0, 4.0])) == 0.25
    assert _relative(torch.tensor([3.0]), torch.tensor([4.0, 4.0])) == 0.0
