"""Other splits of a data set: folds for cross-validation, and fewer training samples.

Both draw by seed, stratified by class, and only arrange what the data set's own splits hold.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from tempreg.data.base import SPLITS, DataSet, Split
from tempreg.data.splits import held_out


class Subset(Split):
    """Some samples of other splits, in a given order. Final.

    Args:
        parts: the splits, counted through from the first sample of the first.
        indices: which samples, int64 [N].
    """

    def __init__(self, parts: Sequence[Split], indices: Tensor) -> None:
        self.parts, self.indices = tuple(parts), indices
        self._starts = [0, *accumulate(len(part) for part in parts)]
        self.targets = torch.cat([part.targets for part in parts])[indices]
        self.blank = parts[0].blank

    @property
    def ids(self) -> Tensor:
        """The places of the samples in `parts`."""
        return self.indices

    def inputs(self, indices: Tensor) -> Tensor:
        """See `Split`."""
        chosen = self.indices[indices]
        owners = torch.tensor([bisect_right(self._starts, i) - 1 for i in chosen.tolist()])
        pieces: list[Tensor] = []
        order: list[Tensor] = []
        for owner in owners.unique().tolist():
            mine = (owners == owner).nonzero().flatten()
            pieces.append(self.parts[owner].inputs(chosen[mine] - self._starts[owner]))
            order.append(mine)
        if len(pieces) == 1:
            return pieces[0]
        batch_dim = pieces[0].ndim - 4
        return torch.cat(pieces, dim=batch_dim).index_select(batch_dim, torch.cat(order).argsort())


def cross_validation(
    data: DataSet, *, folds: int, fold: int, validation: float, seed: int
) -> DataSet:
    """All samples pooled; the fold-th of `folds` equal parts is the test split.

    Args:
        data: all of its splits are pooled, in the order train, validation, test.
        folds: >= 2, at most the samples of the rarest class.
        fold: 0 <= fold < folds.
        validation: share of the rest that becomes the validation split, in (0, 1).
        seed: of the partition; the same for all folds of one partition.
    """
    if not folds >= 2 or not 0 <= fold < folds:
        raise ValueError(f"fold must be in 0 ... folds - 1 and folds >= 2, got {fold} of {folds}")
    parts = [data.split(name) for name in SPLITS]
    targets = torch.cat([part.targets for part in parts]).numpy()
    rarest = int(np.bincount(targets, minlength=len(data.classes)).min())
    if folds > rarest:
        raise ValueError(f"{folds} folds need {folds} samples of each class, but one has {rarest}")
    order = np.random.default_rng(seed).permutation(len(targets))
    dealt = order[np.argsort(targets[order], kind="stable")]  # class by class, like cards
    member = np.empty(len(targets), dtype=np.int64)
    member[dealt] = np.arange(len(targets)) % folds
    rest = np.flatnonzero(member != fold)
    hold = held_out(targets[rest], validation, seed)
    rows = (rest[~hold], rest[hold], np.flatnonzero(member == fold))
    train, val, test = (Subset(parts, torch.from_numpy(row)) for row in rows)
    return replace(data, train=train, validation=val, test=test)


def fewer(data: DataSet, train_size: int, seed: int) -> DataSet:
    """The same data set with `train_size` of its training samples, drawn by `seed`."""
    total = len(data.train)
    if not len(data.classes) <= train_size <= total:
        raise ValueError(
            f"train_size must be between {len(data.classes)} (one sample a class) and the {total} "
            f"training samples there are, got {train_size}"
        )
    if train_size == total:
        return data
    targets = data.train.targets.numpy()
    order = np.random.default_rng(seed).permutation(total)
    by_class = order[np.argsort(targets[order], kind="stable")]
    sizes = np.bincount(targets)
    rank = np.arange(total) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    fraction = (rank + 0.5) / np.repeat(sizes, sizes)  # the same share of each class comes first
    first = by_class[np.argsort(fraction, kind="stable")][:train_size]
    chosen = torch.from_numpy(np.sort(first))
    return replace(data, train=Subset([data.train], chosen))
