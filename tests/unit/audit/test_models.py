"""The built-in networks; `make audit-models` has them all, and at the sizes they are made for."""

from __future__ import annotations

import pytest
import torch

import tempreg

SMALL: dict[str, dict[str, object]] = {
    "csnn": {},
    "spikformer": {"width": 8, "depth": 1, "heads": 2, "poolings": 2},
    "spike_driven_transformer": {"width": 8, "depth": 1, "heads": 2, "poolings": 2},
    "qkformer": {"width": 8, "depth": 3, "heads": 1},
    "ms_resnet18": {"width": 8},
    "rsnn": {"channels": (8, 8)},
}


@pytest.mark.parametrize("name", SMALL)
def test_built_in_networks_pass(name: str) -> None:
    torch.manual_seed(0)
    model = tempreg.create_model(
        name, num_classes=3, in_channels=2, num_steps=2, input_size=8, **SMALL[name]
    )
    audit = tempreg.audit(model, torch.rand(2, 2, 2, 8, 8))
    assert audit.passed, audit.table()
    assert audit.settings["float64"]
