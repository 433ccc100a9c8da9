"""What a test of somebody's own network calls."""

from __future__ import annotations

import pytest
import torch

from tempreg.testing import assert_audited
from tests.unit.audit.parts import Apply, Net, inputs, lif


def test_a_sound_network_passes_and_its_audit_comes_back() -> None:
    torch.manual_seed(0)
    audit = assert_audited(Net(lif=lif()), inputs(), targets=torch.tensor([0, 1, 2]))
    assert audit.passed


def test_a_fault_fails_the_test_unless_allowed() -> None:
    torch.manual_seed(0)
    net = Net(odd=Apply(lambda x: x / len(x)), lif=lif())
    with pytest.raises(AssertionError, match=r"stepwise:\n(.|\n)*FAIL \[odd\]"):
        assert_audited(net, inputs())
    assert assert_audited(net, inputs(), allow=["stepwise"]).failed() == ["stepwise"]
    with pytest.raises(ValueError, match="there is no check 'steps'"):
        assert_audited(net, inputs(), allow=["steps"])
