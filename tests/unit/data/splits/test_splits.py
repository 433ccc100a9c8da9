"""Splits by seed: shares are met, groups stay whole, and what can't be split is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempreg.data.errors import DataError
from tempreg.data.splits.drawn import held_out


@given(
    counts=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
)
def test_each_class_gives_its_share(counts: list[int], share: float, seed: int) -> None:
    targets = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    mask = held_out(targets, share, seed)
    for label, count in enumerate(counts):
        assert mask[targets == label].sum() == max(1, round(share * count))
    assert (held_out(targets, share, seed) == mask).all()


def test_another_seed_holds_out_others() -> None:
    targets = np.repeat(np.arange(3), 50)
    assert (held_out(targets, 0.2, 0) != held_out(targets, 0.2, 1)).any()


@given(
    sizes=st.lists(st.integers(1, 8), min_size=4, max_size=30),
    seed=st.integers(0, 99),
    mixed=st.booleans(),
)
def test_groups_are_never_cut(sizes: list[int], seed: int, mixed: bool) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    targets = np.arange(len(groups)) % 3 if mixed else groups % 2
    try:
        mask = held_out(targets, 0.3, seed, groups)
    except DataError:
        return
    for group in range(len(sizes)):
        assert mask[groups == group].all() or not mask[groups == group].any()


def test_groups_meet_the_share_where_they_can() -> None:
    groups = np.repeat(np.arange(40), 5)
    targets = groups % 4
    mask = held_out(targets, 0.2, 3, groups)
    assert [int(mask[targets == c].sum()) for c in range(4)] == [10, 10, 10, 10]


def test_what_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"class 'owl' has one sample to divide.*\(three to train"):
        held_out([0, 0, 1], 0.5, 0, classes=("cat", "owl"))
    with pytest.raises(DataError, match=r"1 recording session can't be divided.*three to train"):
        held_out([0, 0, 1, 1], 0.5, 0, [7, 7, 7, 7])
    with pytest.raises(ValueError, match="share"):
        held_out([0, 0], 1.0, 0)
