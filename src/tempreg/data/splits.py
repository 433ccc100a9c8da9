"""Parts of a data set where none are official: stratified, by seed, and never through a group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tempreg.data.base import SPLITS, DataSet
from tempreg.data.source import DataError


def usable(data: DataSet) -> DataSet:
    """The data set, with a remark on classes that can't be learned.

    Raises:
        DataError: it has fewer than two classes, or a split without a sample.
    """
    if len(data.classes) < 2:
        raise DataError(
            f"{data.name} has one class, {', '.join(data.classes)!r}: it takes two to train"
        )
    for name in SPLITS:
        if not len(data.split(name)):
            raise DataError(
                f"the {name} split of {data.name} has no sample: give it files, or where it is "
                "drawn, a smaller data.validation"
            )
    counts = np.bincount(data.train.targets.numpy(), minlength=len(data.classes))
    absent = [data.classes[i] for i in np.flatnonzero(counts == 0)]
    if not absent:
        return data
    some = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
    remark = f"{len(absent)} of {len(counts)} classes have no training sample: {some}"
    return replace(data, remarks=(*data.remarks, remark))


def held_out(
    targets: ArrayLike, share: float, seed: int, groups: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Which samples to hold out: about `share` of each class, chosen by `seed`.

    Args:
        targets: class indices [N].
        share: in (0, 1); of each class, rounded, but at least one sample.
        seed: >= 0; the same seed gives the same samples.
        groups: [N] labels of what belongs together, such as recording sessions: each group is
            held out as a whole or not at all, so the shares are met as well as groups allow.

    Returns:
        A mask [N].

    Raises:
        DataError: a class has a single sample, or no group can be held out.
    """
    labels = np.asarray(targets, dtype=np.int64)
    if not 0 < share < 1:
        raise ValueError(f"share must be in (0, 1), got {share!r}")
    counts = np.bincount(labels)
    if groups is None and (counts == 1).any():
        raise DataError(
            f"class {int(np.argmax(counts == 1))} has a single sample, which can't be split: add "
            "another, or leave the class out"
        )
    wanted = np.maximum(np.round(share * counts), counts > 0).astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(labels))
    if groups is None:
        return _first_of_each_class(labels, order, wanted)
    mask = _whole_groups(labels, np.asarray(groups), order, wanted)
    if not mask.any() or mask.all():
        raise DataError(
            f"{len(np.unique(np.asarray(groups)))} recording sessions can't be split into a part "
            "to train on and a part to hold out: more sessions are needed"
        )
    return mask


def _first_of_each_class(
    labels: NDArray[np.int64], order: NDArray[np.int64], wanted: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """The first `wanted[c]` samples of class c in `order`."""
    by_class = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    mask = np.zeros(len(labels), dtype=bool)
    mask[by_class] = rank < wanted[labels[by_class]]
    return mask


def _whole_groups(
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    order: NDArray[np.int64],
    wanted: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Groups in the order of their first sample, each taken where that brings `wanted` nearer."""
    _, membership = np.unique(groups, return_inverse=True)
    members = np.zeros((int(membership.max()) + 1, len(wanted)), dtype=np.int64)
    np.add.at(members, (membership, labels), 1)
    taken = np.zeros(len(members), dtype=bool)
    missing = wanted.copy()
    for group in dict.fromkeys(membership[order].tolist()):
        after = missing - members[group]
        if np.abs(after).sum() < np.abs(missing).sum():
            taken[group], missing = True, after
    mask: NDArray[np.bool_] = taken[membership]
    return mask
