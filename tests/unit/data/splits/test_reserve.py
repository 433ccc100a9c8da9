"""Recordings set aside for trials: never tested, always trained on, the same in every partition."""

from __future__ import annotations

import pytest
import torch

from tempreg.data.base import ArraySplit, DataSet
from tempreg.data.splits.resample import cross_validation
from tempreg.options.data import SplitOptions

CLASSES = 4


def pool() -> DataSet:
    def part(start: int, count: int) -> ArraySplit:
        values = torch.arange(start, start + count).reshape(-1, 1, 1, 1).float()
        return ArraySplit(values, torch.arange(start, start + count) % CLASSES)

    names = tuple("abcd")
    return DataSet("made", part(0, 60), part(60, 20), part(80, 40), names, 1, (1, 1))


def members(data: DataSet, split: str) -> set[int]:
    part = data.split(split)
    return {int(v) for v in part.inputs(torch.arange(len(part))).flatten()}


def folded(fold: int, seed: int, **options: object) -> DataSet:
    return cross_validation(pool(), folds=3, fold=fold, validation=0.2, seed=seed, **options)


def test_what_trials_see_is_never_tested() -> None:
    seen, tested = set(), []
    for seed in (5, 6):
        for fold in range(3):
            trial = folded(fold, seed, reserve=0.2, within_reserve=True)
            seen |= set().union(*(members(trial, s) for s in ("train", "validation", "test")))
            run = folded(fold, seed, reserve=0.2)
            tested.append(members(run, "test"))
            parts = [members(run, s) for s in ("train", "validation", "test")]
            assert sum(map(len, parts)) == len(set().union(*parts)) == 120
            labels = torch.bincount(run.test.targets, minlength=CLASSES)
            assert labels.max() - labels.min() <= 1
    assert len(seen) == 24
    assert not seen & set().union(*tested)
    assert set().union(*tested[:3]) == set().union(*tested[3:]) == set(range(120)) - seen
    assert sum(map(len, tested[:3])) == 96


def test_without_a_reserve_nothing_is_set_aside() -> None:
    plain, none = folded(1, 7), folded(1, 7, reserve=0.0)
    assert all(members(plain, s) == members(none, s) for s in ("train", "validation", "test"))
    assert len(members(plain, "test")) == 40


def test_too_small_a_reserve_for_the_folds() -> None:
    with pytest.raises(ValueError, match="3 samples of each class, but class 'a' has 2"):
        folded(0, 0, reserve=0.05, within_reserve=True)


def test_a_reserve_and_what_goes_on_within_it_need_each_other() -> None:
    SplitOptions(folds=4, reserve=0.5, within_reserve=True)
    with pytest.raises(ValueError, match=r"within_reserve needs a data\.reserve above 0"):
        SplitOptions(folds=4, within_reserve=True)
    with pytest.raises(ValueError, match=r"data\.reserve is for cross-validation"):
        SplitOptions(reserve=0.5)
