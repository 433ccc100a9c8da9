"""Folds and smaller training sets: every sample once, stratified, and read back unchanged."""

from __future__ import annotations

import pytest
import torch

from tempreg.data import ArraySplit, DataSet, load_dataset
from tempreg.data.splits.resample import Subset, cross_validation, fewer


@pytest.fixture(scope="module")
def nmnist() -> DataSet:
    return load_dataset("nmnist", num_steps=2)


def test_folds_partition_all_samples(nmnist: DataSet) -> None:
    tested = []
    for fold in range(5):
        data = cross_validation(nmnist, folds=5, fold=fold, validation=0.1, seed=3)
        parts = [data.split(name).ids for name in ("train", "validation", "test")]
        assert torch.cat(parts).sort().values.equal(torch.arange(1100))
        assert len(parts[2]) == 220
        counts = data.test.targets.bincount()
        assert counts.max() - counts.min() <= 1 + 110 - 100  # N-MNIST's classes are nearly equal
        tested.append(parts[2])
    assert torch.cat(tested).sort().values.equal(torch.arange(1100))
    again = cross_validation(nmnist, folds=5, fold=0, validation=0.1, seed=4)
    assert not again.test.ids.equal(tested[0])


def test_folds_read_the_pooled_samples(nmnist: DataSet) -> None:
    data = cross_validation(nmnist, folds=4, fold=1, validation=0.2, seed=0)
    whole = [nmnist.split(name) for name in ("train", "validation", "test")]
    x = torch.cat([part.inputs(torch.arange(len(part))) for part in whole], dim=1)
    y = torch.cat([part.targets for part in whole])
    order = torch.tensor([5, 0, len(data.train) - 1, 17])
    frames, targets = data.train.batch(order)
    ids = data.train.ids[order]
    assert frames.equal(x[:, ids])
    assert targets.equal(y[ids])


def test_a_subset_of_images() -> None:
    parts = [ArraySplit(torch.arange(n).reshape(n, 1, 1, 1), torch.zeros(n)) for n in (2, 3)]
    values = torch.cat([parts[0].values, parts[1].values + 2])
    subset = Subset(parts, torch.tensor([4, 1, 2]))
    parts[1].values += 2
    assert subset.inputs(torch.tensor([2, 0, 1])).equal(values[[2, 4, 1]].float())
    assert len(subset) == 3


def test_fewer_samples_are_stratified_and_differ_by_seed(nmnist: DataSet) -> None:
    data = load_dataset("fashion-mnist", num_steps=1)
    small = fewer(data, 1000, seed=5)
    assert small.train.targets.bincount().tolist() == [100] * 10
    assert small.train.ids.unique().numel() == 1000
    assert small.test is data.test
    assert not fewer(data, 1000, seed=6).train.ids.equal(small.train.ids)
    assert fewer(data, 5000, seed=0) is data
    assert fewer(nmnist, 10, seed=0).train.targets.unique().numel() == 10


def test_impossible_requests(nmnist: DataSet) -> None:
    with pytest.raises(ValueError, match=r"between 10 .* and the 700 training samples"):
        fewer(nmnist, 9, seed=0)
    with pytest.raises(ValueError, match="folds need 200 samples of each class"):
        cross_validation(nmnist, folds=200, fold=0, validation=0.1, seed=0)
    with pytest.raises(ValueError, match="fold must be in"):
        cross_validation(nmnist, folds=5, fold=5, validation=0.1, seed=0)
