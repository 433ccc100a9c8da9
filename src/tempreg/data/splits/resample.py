"""Other splits of a data set: folds for cross-validation, and fewer training samples.

Both draw by seed, stratified by class, and only arrange what the data set's own splits hold.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from tempreg.data.base import SPLITS, CompactSplit, DataSet, Split
from tempreg.data.splits.drawn import held_out

RESERVE_SEED = 0
"""Of what cross-validation sets aside: one share for every partition."""


@final
class Subset(CompactSplit):
    """Some samples of other splits, in a given order.

    Args:
        parts: the splits, counted through from the first sample of the first.
        indices: which samples, int64 [N].
    """

    def __init__(self, parts: Sequence[Split], indices: Tensor) -> None:
        self.parts, self.indices = tuple(parts), indices
        self._starts = [0, *accumulate(len(part) for part in parts)]
        self.targets = torch.cat([part.targets for part in parts])[indices]
        self.blank = parts[0].blank
        self.croppable = all(part.croppable for part in parts)
        one = all(part.finishing == parts[0].finishing for part in parts)
        self.finishing = parts[0].finishing if one else None

    @property
    def ids(self) -> Tensor:
        """The places of the samples in `parts`."""
        return self.indices

    @override
    def compact(self, indices: Tensor, seed: int | None = None) -> Tensor:
        """As the parts have it, where one `finishing` does for all; else the finished inputs."""
        return self._gathered(indices, seed)

    def _gathered(self, indices: Tensor, seed: int | None) -> Tensor:
        chosen = self.indices[indices]
        owners = torch.tensor([bisect_right(self._starts, i) - 1 for i in chosen.tolist()])
        pieces: list[Tensor] = []
        order: list[Tensor] = []
        for owner in owners.unique().tolist():
            mine = (owners == owner).nonzero().flatten()
            part, places = self.parts[owner], chosen[mine] - self._starts[owner]
            piece = part.compact(places, seed)
            pieces.append(piece if self.finishing is not None else part.finished(piece))
            order.append(mine)
        if len(pieces) == 1:
            return pieces[0]
        batch_dim = pieces[0].ndim - 4
        return torch.cat(pieces, dim=batch_dim).index_select(batch_dim, torch.cat(order).argsort())


def cross_validation(
    data: DataSet,
    *,
    folds: int,
    fold: int,
    validation: float,
    seed: int,
    reserve: float = 0.0,
    within_reserve: bool = False,
) -> DataSet:
    """All samples pooled; the fold-th of `folds` equal parts is the test split.

    Sessions are never divided, so with them the parts are as equal as that allows.

    Args:
        data: all of its splits are pooled, in the order train, validation, test.
        folds: >= 2, at most the samples of the rarest class, or its sessions.
        fold: 0 <= fold < folds.
        validation: share of the rest that becomes the validation split, in [0, 1).
        seed: of the partition; the same for all folds of one partition.
        reserve: share of each class, in [0, 1), that is set aside, the same whatever `seed`: no
            fold tests it, each trains on it.
        within_reserve: whether the folds are of what is set aside, and of nothing else. What is
            chosen there has seen no sample that another partition tests.

    Raises:
        ValueError: a fold that isn't one, or a class with too few samples or sessions.
    """
    if not folds >= 2 or not 0 <= fold < folds:
        raise ValueError(f"fold must be in 0 ... folds - 1 and folds >= 2, got {fold} of {folds}")
    parts = [data.split(name) for name in SPLITS]
    targets = torch.cat([part.strata for part in parts]).numpy()
    groups = None if data.sessions is None else data.sessions.numpy()
    aside = np.zeros(len(targets), dtype=bool)
    if reserve > 0:
        aside = held_out(targets, reserve, RESERVE_SEED, groups)
    pool = np.flatnonzero(aside if within_reserve else ~aside)
    member = _dealt(
        targets[pool], None if groups is None else groups[pool], data.classes, folds, seed
    )
    others = np.flatnonzero(aside & (not within_reserve))
    rest = np.sort(np.concatenate([pool[member != fold], others]))
    hold = np.zeros(len(rest), dtype=bool)
    if validation > 0:
        hold = held_out(targets[rest], validation, seed, None if groups is None else groups[rest])
    rows = (rest[~hold], rest[hold], pool[member == fold])
    train, val, test = (Subset(parts, torch.from_numpy(row)) for row in rows)
    return replace(data, train=train, validation=val, test=test, sessions=None)


def _dealt(
    targets: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    classes: Sequence[str],
    folds: int,
    seed: int,
) -> NDArray[np.int64]:
    """Which fold each sample is in, [N]: dealt class by class, like cards, in an order by seed."""
    _enough(targets, groups, classes, folds)
    order = np.random.default_rng(seed).permutation(len(targets))
    if groups is not None:
        return _dealt_whole(targets, groups, order, folds)
    dealt = order[np.argsort(targets[order], kind="stable")]
    member = np.empty(len(targets), dtype=np.int64)
    member[dealt] = np.arange(len(targets)) % folds
    return member


def _enough(
    targets: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    classes: Sequence[str],
    folds: int,
) -> None:
    """ValueError for a class that can't be in every fold and beside it in two more parts."""
    units = np.bincount(targets, minlength=len(classes))
    if groups is not None:
        pairs = np.unique(np.stack([targets, groups], axis=1), axis=0)
        units = np.bincount(pairs[:, 0], minlength=len(classes))
    rarest = int(units.argmin())
    needed = 4 if folds == 2 else folds  # so that two are left beside any fold
    if units[rarest] < needed:
        what = "samples" if groups is None else "recording sessions"
        raise ValueError(
            f"{folds} folds need {needed} {what} of each class, but class {classes[rarest]!r} has "
            f"{units[rarest]}"
        )


def _dealt_whole(
    targets: NDArray[np.int64], groups: NDArray[np.int64], order: NDArray[np.int64], folds: int
) -> NDArray[np.int64]:
    """The fold [N] of each sample: groups, the largest first, each to where its classes are few."""
    _, membership = np.unique(groups, return_inverse=True)
    members = np.zeros((int(membership.max()) + 1, int(targets.max()) + 1), dtype=np.int64)
    np.add.at(members, (membership, targets), 1)
    drawn = np.array(list(dict.fromkeys(membership[order].tolist())))
    held = np.zeros((folds, members.shape[1]), dtype=np.int64)
    fold_of = np.empty(len(members), dtype=np.int64)
    for group in drawn[np.argsort(-members[drawn].sum(axis=1), kind="stable")]:
        load = held @ members[group]
        fold = int(np.lexsort((held.sum(axis=1), load))[0])
        fold_of[group] = fold
        held[fold] += members[group]
    found: NDArray[np.int64] = fold_of[membership]
    return found


def fewer(data: DataSet, train_size: int, seed: int) -> DataSet:
    """The same data set with `train_size` of its training samples, drawn by `seed`."""
    total = len(data.train)
    least = 2 if data.numbers else len(data.classes)
    if not least <= train_size <= total:
        why = "" if data.numbers else " (one sample a class)"
        raise ValueError(
            f"train_size must be between {least}{why} and the {total} training samples there are, "
            f"got {train_size}"
        )
    if train_size == total:
        return data
    targets = data.train.strata.numpy()
    order = np.random.default_rng(seed).permutation(total)
    by_class = order[np.argsort(targets[order], kind="stable")]
    sizes = np.bincount(targets)
    rank = np.arange(total) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    fraction = (rank + 0.5) / np.repeat(sizes, sizes)  # the same share of each class comes first
    fraction[rank == 0] = 0  # after one of each, however rare
    first = by_class[np.argsort(fraction, kind="stable")][:train_size]
    chosen = torch.from_numpy(np.sort(first))
    return replace(data, train=Subset([data.train], chosen), sessions=None)
