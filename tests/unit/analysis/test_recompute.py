"""Every analysis of a network that computes its layers again: as of one that keeps everything."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from tempreg import create_model
from tempreg.models.recompute import choose_recompute
from tests.every_analysis import ANALYSES, CLASSES, STEPS


def numbers(found: Any) -> Any:
    """A result as lists of numbers."""
    if dataclasses.is_dataclass(found):
        return {f.name: numbers(getattr(found, f.name)) for f in dataclasses.fields(found)}
    if isinstance(found, dict):
        return {str(key): numbers(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [numbers(each) for each in found]
    return found.tolist() if hasattr(found, "tolist") else found


@pytest.mark.filterwarnings("default:`torch.jit.script` is deprecated")  # by curvlinops
@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_finds_the_same(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(
        "csnn", num_classes=CLASSES, in_channels=2, num_steps=STEPS, input_size=8, channels=(4, 6)
    )
    x, y = torch.rand(STEPS, 6, 2, 8, 8).mul(3), torch.arange(6) % CLASSES
    found = []
    for recompute in (False, True):
        choose_recompute(model, recompute)
        found.append(numbers(ANALYSES[name](model, x, y)))
    assert any(getattr(m, "recomputes", False) for m in model.modules())  # as it was
    assert repr(found[1]) == repr(found[0])
