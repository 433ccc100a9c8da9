"""Whether there are samples enough, before and after parts are drawn; else a class is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tempreg.data.errors import DataError


def lacking(
    name: str, classes: Sequence[str], counts: Mapping[str, NDArray[np.int64]]
) -> list[str]:
    """Remarks on splits that lack classes; DataError where nothing can be learned.

    Args:
        name: of the data set.
        classes: their names.
        counts: samples of each class [classes] by split, of those that must have some.
    """
    if len(classes) < 2:
        raise DataError(f"{name} has one class, {', '.join(classes)!r}: it takes two to train")
    remarks = []
    for split in counts:
        if not counts[split].any():
            raise DataError(
                f"the {split} split of {name} has no sample: give it files, or where it is "
                "drawn, a smaller data.validation"
            )
        there, absent = np.flatnonzero(counts[split]), np.flatnonzero(counts[split] == 0)
        if len(there) < 2 and split == "train":
            raise DataError(
                f"the train split of {name} has samples of one class only, "
                f"{classes[int(there[0])]!r}: it takes two to train"
            )
        if len(absent):
            some = ", ".join(classes[i] for i in absent[:5]) + ", ..." * (len(absent) > 5)
            word = "training" if split == "train" else split
            remarks.append(f"{len(absent)} of {len(classes)} classes have no {word} sample: {some}")
    return remarks


def enough(
    targets: ArrayLike,
    classes: Sequence[str],
    drawn: Sequence[str],
) -> None:
    """DataError, which names it, for a class that can't be in all parts that are drawn.

    Args:
        targets: class indices [N] of the samples that parts are drawn from.
        classes: their names; an index where it has none.
        drawn: the parts that are drawn, of "validation" and "test".
    """
    labels = np.asarray(targets, dtype=np.int64)
    needed = 1 + len(drawn)
    counts = np.bincount(labels)
    few = np.flatnonzero((counts > 0) & (counts < needed))
    if not drawn or not len(few):
        return
    index = int(few[0])
    name = repr(str(classes[index])) if index < len(classes) else str(index)
    number = int(counts[index])
    others = "" if len(few) == 1 else f" ({len(few) - 1} more class{'es' * (len(few) > 2)} alike)"
    roles = ["to train on", *(f"for {part}" for part in drawn)]
    count = {2: "two", 3: "three"}[needed]
    raise DataError(
        f"class {name} has {number} sample{'s' * (number != 1)}{others}: {count} are needed, one "
        f"{', one '.join(roles)}; add some, leave the class out, or give the parts yourself"
    )


def left_to_train(
    targets: ArrayLike, kept: ArrayLike, classes: Sequence[str], validation: float
) -> None:
    """DataError for a class of which the drawn parts left nothing to train on.

    Args:
        targets: class indices of the samples that parts were drawn from.
        kept: those of the ones that were left.
        classes: see `enough`.
        validation: the setting.
    """
    labels, rest = np.asarray(targets, dtype=np.int64), np.asarray(kept, dtype=np.int64)
    gone = np.setdiff1d(labels, rest)
    if len(gone) and len(rest):
        index = int(gone[0])
        name = repr(str(classes[index])) if index < len(classes) else str(index)
        raise DataError(
            f"data.validation {validation} leaves none of the {int((labels == index).sum())} "
            f"samples of class {name} to train on: choose less, or add samples"
        )
