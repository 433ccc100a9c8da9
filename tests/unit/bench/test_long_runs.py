"""benchmarks/long_runs.py: each command's loop is where the script counts its steps."""

from __future__ import annotations

import pytest
from benchmarks.long_runs import Part, counted_in, parts

PARTS = parts(10)


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())
def test_what_is_counted_is_there(part: Part) -> None:
    owner, name = counted_in(part)
    assert callable(getattr(owner, name))
