"""torch.compile, which is tried where it is asked for."""

from __future__ import annotations

import torch
from torch import Tensor

import tempreg
from tests.unit.audit.parts import Apply, Net, inputs, lif


def test_another_answer_when_compiled_is_found() -> None:
    def odd(x: Tensor) -> Tensor:
        return 3 * x if torch.compiler.is_compiling() else x

    torch.manual_seed(0)
    net = Net(odd=Apply(odd), lif=lif())
    check = tempreg.audit(net, inputs(), compiled=True).checks["precision"]
    assert not check.passed
    assert "torch.compile" in check.sentence
    assert tempreg.audit(net, inputs()).passed
