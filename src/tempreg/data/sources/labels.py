"""Labels as arrays have them: numbers, one-hot rows or text; one list or one column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tempreg.data.errors import DataError

_EXACT = 2**53
"""Beyond it not every whole number is a float."""


@final
@dataclass(frozen=True)
class Labels:
    """What an array of labels says.

    Attributes:
        indices: class indices int64 [N]; of text, places in `names`.
        names: the classes, sorted, where the labels are text.
        width: the number of classes, where the labels are one-hot.
    """

    indices: NDArray[np.int64]
    names: tuple[str, ...] | None = None
    width: int | None = None


def read_labels(values: NDArray[Any], where: str) -> Labels:
    """Labels from [N], [N, 1] or [1, N] numbers or text, or one-hot rows [N, C].

    Floating-point values are taken where all are whole.

    Args:
        values: the array; true and false are 1 and 0.
        where: what errors call it.

    Raises:
        DataError: any other array; which value is wrong is said.
    """
    if values.ndim > 1 and values.size == max(values.shape):
        values = values.reshape(-1)
    if values.ndim == 1 and values.dtype.kind in "US":
        text = np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values
        names, indices = np.unique(text, return_inverse=True)
        return Labels(indices.astype(np.int64), tuple(map(str, names)))
    if values.ndim not in (1, 2) or values.dtype.kind not in "biuf":
        raise _wrong(where, f"this is {values.dtype} of the shape {values.shape}")
    fine = np.ones(values.shape, bool)
    if values.dtype.kind == "f":
        values = values.astype(np.float64)
        fine = np.isfinite(values) & (np.abs(values) < _EXACT)
        fine &= np.where(fine, values, 0) == np.trunc(np.where(fine, values, 0))
    elif values.dtype.kind == "u":
        fine = values < 2**63
    if not fine.all():
        place = tuple(int(i) for i in np.argwhere(~fine)[0])
        raise _wrong(where, f"label {place[0]} is {values[place]}")
    whole: NDArray[np.int64] = values.astype(np.int64)
    if whole.ndim == 1:
        return Labels(whole)
    hot = ((whole == 0) | (whole == 1)).all(axis=1) & (whole.sum(axis=1) == 1)
    if not hot.all():
        row = int(np.argmin(hot))
        held = f"{whole[row][:10].tolist()}" if whole.shape[1] <= 10 else f"{whole.shape[1]} values"
        ones = int((whole[row] == 1).sum())
        several = ", so an image would have several classes" if ones > 1 else ""
        raise _wrong(where, f"row {row} is {held} with {ones} ones{several}")
    return Labels(whole.argmax(axis=1).astype(np.int64), width=whole.shape[1])


def _wrong(where: str, found: str) -> DataError:
    return DataError(
        f"{where}: labels must be a list of whole numbers or of text, one an image, or one-hot "
        f"rows; {found}"
    )
