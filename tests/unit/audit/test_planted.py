"""Planted faults: each is found, by the right check and in the right layer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import tempreg
from tests.unit.audit.planted import MISSED, PLANTED, Planted


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    planted: Planted = PLANTED[name]
    torch.manual_seed(0)
    audit = tempreg.audit(planted.make(), planted.given())
    for kind in planted.kind.split():
        check = audit.checks[kind]
        assert not check.passed, audit.table()
        assert (check.layer or "") == planted.layer, audit.table()
        assert check.size > 0


@pytest.mark.parametrize("name", MISSED)
def test_what_the_page_says_is_missed_is_missed(name: str) -> None:
    """Where one of these is found, the page has to change."""
    torch.manual_seed(0)
    audit = tempreg.audit(MISSED[name].make(), MISSED[name].given())
    assert audit.checks[MISSED[name].kind].passed
    page = Path(__file__).parents[3] / "docs" / "audit.md"
    assert f"| {name} |" in page.read_text(encoding="utf-8")


def test_there_are_as_many_as_the_page_says() -> None:
    assert len(PLANTED) >= 40


def test_the_published_attention_block_is_named_with_what_the_batch_changes() -> None:
    torch.manual_seed(0)
    audit = tempreg.audit(PLANTED["QK attention"].make(), PLANTED["QK attention"].given())
    for name in ("batch", "axis"):
        assert "'block.proj_lif'" in audit.checks[name].sentence
    changed = re.search(
        r"the output for a sample is another by ([\d.]+)% of its mean size as the last of four",
        audit.checks["batch"].sentence,
    )
    assert changed
    assert float(changed[1]) > 0
    assert "called with [8, 8, 9] for T=4 and two samples" in audit.checks["axis"].sentence
