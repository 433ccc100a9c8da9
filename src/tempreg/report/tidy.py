"""Results of analyses as rows, one a number, which tools for tables take as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tempreg.report.analyses import Analysis, plurals

Row = dict[str, Any]


def entries(analysis: Analysis) -> Iterator[Row]:
    """A row an entry of each array: `array`, where it is along each of its axes, and `value`.

    Layers have their names, other places their numbers: those that the analysis holds, as radii,
    else 1, 2, ... Single numbers have no places. What was not measured is NaN.
    """
    for name, array in analysis.arrays.items():
        if len(array.axes) == 1 and name in plurals(array.axes[0]):
            continue  # the places of others
        places = [
            _names(analysis, axis, size)
            for axis, size in zip(array.axes, array.values.shape, strict=True)
        ]
        axes = [  # the second of two alike, as of a plane's, has a name of its own
            axis if axis not in array.axes[:i] else f"{axis} {i + 1}"
            for i, axis in enumerate(array.axes)
        ]
        for index, value in np.ndenumerate(array.values):
            at = {axis: along[i] for axis, along, i in zip(axes, places, index, strict=True)}
            yield {"array": name, **at, "value": float(value)}
    for name, number in analysis.numbers.items():
        yield {"array": name, "value": number}


def _names(analysis: Analysis, axis: str, size: int) -> list[Any]:
    """Words along an axis where the analysis has as many, else numbers."""
    for name in plurals(axis.replace(" ", "_")):
        if len(words := analysis.words.get(name, ())) == size:
            return list(words)
    return [int(x) if x.is_integer() else x for x in analysis.places(axis, size)]
