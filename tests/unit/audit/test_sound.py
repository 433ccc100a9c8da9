"""Sound networks: no check fails, and what is a fact is a remark."""

from __future__ import annotations

import pytest
import torch

import tempreg
from tests.unit.audit.sound import SOUND


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_network_passes(name: str) -> None:
    torch.manual_seed(0)
    audit = tempreg.audit(SOUND[name].make(), SOUND[name].given())
    assert audit.passed, audit.table()
    assert list(audit.checks) == [
        "batch", "causality", "time", "state", "axis",
        "spikes", "stepwise", "gradients", "precision", "energy",
    ]  # fmt: skip
