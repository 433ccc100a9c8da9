"""Checks of data that is decoded when it is asked for: every damaged sample by name."""

from __future__ import annotations

import torch
from torch import Tensor

from tempreg.data import ArraySplit, DataError, DataSet, Split
from tempreg.data.checks import check_splits


class Decoded(Split):
    """Samples of which some can't be read."""

    def __init__(self, targets: Tensor, bad: set[int]) -> None:
        self.targets, self.bad = targets, bad
        self.read: list[int] = []

    def inputs(self, indices: Tensor) -> Tensor:
        self.read += indices.tolist()
        for index in indices.tolist():
            if index in self.bad:
                raise DataError(f"{index}.jpg is truncated")
        return torch.zeros(len(indices), 3, 4, 5)


def test_goes_on_after_each_damaged_sample() -> None:
    train = Decoded(torch.arange(200) % 3, {5, 9, 199})
    few = ArraySplit(torch.zeros(4, 3, 4, 5), torch.tensor([0, 0, 1, 0]))
    found = check_splits(DataSet("own", train, few, few, ("a", "b", "c"), 3, (4, 5)))
    assert found.faults == tuple(f"{i}.jpg is truncated" for i in (5, 9, 199))
    assert set(train.read) == set(range(200))
    assert found.counts["train"].tolist() == [66, 66, 65]
    assert found.counts["test"].tolist() == [3, 1, 0]
    assert found.size == "3 x 4 x 5 (channels, height, width)"
