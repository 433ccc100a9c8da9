"""Parts of a data set where none are official: stratified, by seed, and never through a group."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tempreg.data.base import SPLITS, DataSet
from tempreg.data.errors import DataError
from tempreg.data.splits.enough import lacking

TRAIN_SHARE = 0.9
"""Of each class, where the last ones are the test part."""


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts names by the numbers in them: 9.mat before 10.mat."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts))


def last_of_each_class(targets: ArrayLike, names: Sequence[object]) -> NDArray[np.bool_]:
    """Which samples come after the first ceil(0.9 n) of the n of their class, by name.

    As SpikingJelly's split_to_train_test_set(0.9), and, of 1,000 a class, the published split of
    CIFAR10-DVS.

    Args:
        targets: class indices [N].
        names: what sorts them [N].

    Returns:
        A mask [N].

    Raises:
        DataError: a class has too few samples for one to be last.
    """
    labels = np.asarray(targets, dtype=np.int64)
    mask = np.zeros(len(labels), dtype=bool)
    for target in np.unique(labels):
        rows = sorted(np.flatnonzero(labels == target).tolist(), key=lambda row: names[row])
        mask[rows[math.ceil(len(rows) * TRAIN_SHARE) :]] = True
    if not mask.any():
        raise DataError(
            "no class has the 10 samples of which the last one could be tested on: set "
            "data.test_part drawn"
        )
    return mask


def usable(data: DataSet, *, validation: bool = True) -> DataSet:
    """The data set, with a remark on classes that can't be learned.

    Args:
        data: as it was read.
        validation: whether it must have a validation split.

    Raises:
        DataError: it has fewer than two classes, or a split without a sample; or numbers that are
            the same for all samples of a split.
    """
    if data.numbers:
        _check_spread(data, validation=validation)
        return data
    counts = {
        name: np.bincount(data.split(name).targets.numpy(), minlength=len(data.classes))
        for name in SPLITS
        if validation or name != "validation"
    }
    remarks = lacking(data.name, data.classes, counts)
    return replace(data, remarks=(*data.remarks, *remarks)) if remarks else data


def _check_spread(data: DataSet, *, validation: bool) -> None:
    """DataError where a split's targets, numbers, have no spread to tell anything of."""
    for name in SPLITS:
        y = data.split(name).targets
        if len(y) < 2 or bool((y == y[0]).all()):
            if name == "validation" and not validation and not len(y):
                continue
            many = f"{len(y)} sample{'s' * (len(y) != 1)}"
            raise DataError(
                f"the {name} split of {data.name} has {many} of the same numbers: R^2 takes two "
                "that differ"
            )


def held_out(
    targets: ArrayLike,
    share: float,
    seed: int,
    groups: ArrayLike | None = None,
    *,
    leave: int | NDArray[np.int64] = 1,
    classes: Sequence[str] = (),
) -> NDArray[np.bool_]:
    """Which samples to hold out: about `share` of each class, chosen by `seed`.

    Args:
        targets: class indices [N].
        share: in (0, 1); of each class, rounded, but at least one sample.
        seed: >= 0; the same seed gives the same samples.
        groups: [N] labels of what belongs together, such as recording sessions: each group is
            held out as a whole or not at all, so the shares are met as well as groups allow.
        leave: parts that are needed of the rest, >= 1: of each class so many groups are left; one
            number, or one a class.
        classes: names, for errors.

    Returns:
        A mask [N].

    Raises:
        DataError: a class, which is named, has a single sample, or no group can be held out.
    """
    labels = np.asarray(targets, dtype=np.int64)
    if not 0 < share < 1:
        raise ValueError(f"share must be in (0, 1), got {share!r}")
    counts = np.bincount(labels)
    if groups is None and (counts == 1).any():
        index = int(np.argmax(counts == 1))
        name = repr(str(classes[index])) if index < len(classes) else str(index)
        raise DataError(
            f"class {name} has one sample to divide, and each part that is drawn takes one: give "
            "it one for each part (three to train, validate and test), or leave the class out"
        )
    wanted = np.maximum(np.round(share * counts), counts > 0).astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(labels))
    if groups is None:
        return _first_of_each_class(labels, order, wanted)
    mask = _whole_groups(labels, np.asarray(groups), order, wanted, leave)
    if not mask.any() or mask.all():
        number = len(np.unique(np.asarray(groups)))
        raise DataError(
            f"{number} recording session{'s' * (number != 1)} can't be divided into a part to "
            "train on and one to hold out, for none is ever cut: give each class one for each part "
            "(three to train, validate and test)"
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
    leave: int | NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Groups in the order of their first sample, each taken where that brings `wanted` nearer.

    Then, of each class of which none was taken, the group that goes least beyond. Of each class
    `leave` groups are never taken, and in the first pass no more samples than an equal share of
    the parts, so that the most are left to train on.
    """
    _, membership = np.unique(groups, return_inverse=True)
    members = np.zeros((int(membership.max(initial=-1)) + 1, len(wanted)), dtype=np.int64)
    np.add.at(members, (membership, labels), 1)
    taken = np.zeros(len(members), dtype=bool)
    spare = (members > 0).sum(axis=0) - leave
    missing = wanted.copy()

    def fits(group: int) -> bool:
        return not taken[group] and bool((spare[members[group] > 0] > 0).all())

    def take(group: int) -> None:
        nonlocal spare, missing
        taken[group] = True
        spare, missing = spare - (members[group] > 0), missing - members[group]

    in_order = list(dict.fromkeys(membership[order].tolist()))
    most = len(labels) // (int(np.max(leave)) + 1)
    for group in in_order:
        nearer = np.abs(missing - members[group]).sum() < np.abs(missing).sum()
        if nearer and fits(group) and members[taken].sum() + members[group].sum() <= most:
            take(group)
    for label in np.flatnonzero(wanted):
        if not members[taken, label].any():
            those = [group for group in in_order if members[group, label] and fits(group)]
            if those:
                take(min(those, key=lambda group: int(np.abs(missing - members[group]).sum())))
    mask: NDArray[np.bool_] = taken[membership]
    return mask
