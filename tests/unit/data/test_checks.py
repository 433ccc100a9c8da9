"""Checks of data that is decoded when it is asked for: every damaged sample by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tempreg.data import SOURCES, ArraySplit, DataError, DataOptions, DataSet, Split
from tempreg.data.checks import check_splits
from tests.unit.data.formats.recordings.layouts import aedat3


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


def test_several_samples_in_one_damaged_file(tmp_path: Path) -> None:
    t = np.arange(0, 1000, 10)
    events = aedat3(np.stack([t, t % 128, t % 127, t // 10 % 2], axis=1))
    for user in range(1, 5):
        (tmp_path / f"user{user}.aedat").write_bytes(events if user != 2 else events[:-3])
        (tmp_path / f"user{user}_labels.csv").write_text("a,b,c\n1,100,300\n11,500,520\n")
    (tmp_path / "trials_to_train.txt").write_text("user1.aedat\nuser2.aedat\nuser3.aedat\n")
    (tmp_path / "trials_to_test.txt").write_text("user4.aedat\n")
    options = DataOptions(num_steps=1, path=tmp_path, validation=0.34)
    found = SOURCES["dvs128-gesture"].check(options)
    assert len(found.faults) == 1
    assert found.faults[0].startswith(str(tmp_path / "user2.aedat"))
    assert sum(int(counts.sum()) for counts in found.counts.values()) == 6
    assert found.counts["test"].tolist() == [1, *[0] * 9, 1]
    assert found.size == "66 events on 127 x 127 pixels of 128 x 128 (height, width)"
