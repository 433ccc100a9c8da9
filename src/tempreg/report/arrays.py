"""Arrays as results' files have them: nested lists, and what these can't say of their shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LONGEST = 1_000_000
"""Of an axis of an array without entries, whose length nothing else bounds."""


def shaped(values: Any, axes: int, about: Any) -> NDArray[np.float64]:
    """The float64 array of nested lists, with so many axes; `about` is what the file says of it.

    Lists lose what comes after an axis without entries, as lags at T = 1: the file's `shape` has
    it. Where that isn't there, as in files of earlier versions, such axes are without entries too.

    Raises:
        TypeError, ValueError, OverflowError: they are no such array; the file is damaged.
    """
    array = np.array(values, dtype=np.float64)
    shape = about.get("shape") if isinstance(about, dict) else None
    if not array.size:
        rest = [0] * (axes - array.ndim) if shape is None else list(shape)[array.ndim :]
        if any(type(n) is not int or not 0 <= n <= _LONGEST for n in rest):
            raise ValueError(f"the shape {shape} can't be")
        array = array.reshape(*array.shape, *rest)
    if shape is not None and shape != [*array.shape]:
        raise ValueError(f"its shape is {[*array.shape]}, not {shape}")
    if array.ndim != axes:
        raise ValueError(f"it has {array.ndim} axes, not {axes}")
    return array
