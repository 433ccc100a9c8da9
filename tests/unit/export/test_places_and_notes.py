"""Where arrays of exported C lie, and what a file says of its input and output."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempreg.export.c.memory import ALIGNED, Part, _placed
from tempreg.export.notes import told

PARTS = st.lists(
    st.tuples(st.integers(1, 500), st.integers(0, 9), st.integers(0, 9)).map(
        lambda drawn: Part(drawn[0], min(drawn[1:]), max(drawn[1:]))
    ),
    max_size=12,
)


@given(PARTS)
def test_arrays_that_live_at_once_lie_apart(parts: list[Part]) -> None:
    size = _placed(parts)
    assert size == max((part.offset + part.size for part in parts), default=0)
    assert all(part.offset % ALIGNED == 0 for part in parts)
    for a, b in itertools.combinations(parts, 2):
        if a.first <= b.last and b.first <= a.last:
            assert a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
    # No lower offset is free, beside those that were placed before: the larger ones.
    order = sorted(parts, key=lambda part: -part.size)
    for number, part in enumerate(order):
        taken = [p for p in order[:number] if p.first <= part.last and part.first <= p.last]
        for lower in range(0, part.offset, ALIGNED):
            assert any(lower < p.offset + p.size and p.offset < lower + part.size for p in taken), (
                lower
            )


def test_a_gap_that_fits_exactly_is_used() -> None:
    parts = [Part(128, 0, 10), Part(64, 0, 3), Part(64, 0, 10), Part(64, 4, 10)]
    assert _placed(parts) == 256
    assert [part.offset for part in parts] == [0, 128, 192, 128]


@pytest.mark.parametrize(("count", "more"), [(9, ""), (10, ""), (11, " and 1 more")])
def test_ten_classes_are_named(count: int, more: str) -> None:
    notes = {
        "input": "i", "prepare": "p", "output": "logits; o",
        "classes": "\n".join(f"c{i}" for i in range(count)),
    }  # fmt: skip
    named = ", ".join(f"{i} c{i}" for i in range(min(count, 10)))
    assert told(notes) == ["input: i", "prepare: p", "output: logits; o", f"classes: {named}{more}"]
