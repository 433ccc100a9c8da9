"""What a run keeps of its data set: how one more file is read as a sample, but no samples."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import torch

from tempreg.data.base import ArraySplit, DataSet
from tempreg.data.errors import LARGEST_SIDE
from tempreg.data.frames.extent import extent_of
from tempreg.data.reading import Reading

_SIDES = f"a sample has 1 ... {LARGEST_SIDE} channels, rows and columns each"


def describe(data: DataSet) -> dict[str, Any]:
    """What data.json holds of a data set."""
    return {
        "name": data.name,
        "classes": list(data.classes),
        "in_channels": data.in_channels,
        "input_size": list(data.input_size),
        "reading": None if data.reading is None else asdict(data.reading),
        "remarks": list(data.remarks),
        "cautions": list(data.cautions),
        "skipped": list(data.skipped),
        **({"targets": "numbers"} if data.numbers else {}),
    }


def described(values: dict[str, Any]) -> DataSet:
    """The data set that `describe` described, without samples.

    Raises:
        ValueError, KeyError, TypeError: values that `describe` doesn't give.
    """
    height, width = _sides(values["input_size"])
    channels = int(values["in_channels"])
    if not 1 <= channels <= LARGEST_SIDE:
        raise ValueError(_SIDES)
    reading = values["reading"]
    if reading is not None:
        reading = _reading(reading, channels, (height, width))
    name, classes = values["name"], values["classes"]
    if not isinstance(name, str):
        raise ValueError(f"name is no text but {name!r}")
    if not isinstance(classes, list) or not classes:
        raise ValueError("classes must be a list of names, one at least")
    names = tuple(map(str, classes))
    numbers = values.get("targets") == "numbers"
    targets = torch.empty(0, len(names)) if numbers else torch.empty(0)
    none = ArraySplit(torch.empty(0, channels, height, width), targets)
    return DataSet(name, none, none, none, names, channels, (height, width), reading)


def _reading(values: dict[str, Any], channels: int, size: tuple[int, int]) -> Reading:
    """A reading of samples [C, H, W]; errors as `described`."""
    sensor, extent = values.get("sensor_size"), values.get("extent")
    sizes = {
        "input_size": size,
        "sensor_size": None if sensor is None else _sides(sensor),
        "extent": None if extent is None else extent_of(extent),
    }
    reading = Reading(**{**values, **sizes})
    if reading.kind not in ("images", "events"):
        raise ValueError(f"reading.kind must be images or events, got {reading.kind!r}")
    if reading.in_channels != channels:
        raise ValueError(
            f"reading.in_channels is {reading.in_channels!r}, and in_channels {channels}"
        )
    for name, given in (("scale", reading.scale), ("offset", reading.offset)):
        each = given if isinstance(given, list) else [given]
        numbers = [v for v in each if isinstance(v, (int, float)) and math.isfinite(v)]
        if len(numbers) != len(each) or (isinstance(given, list) and len(each) != channels):
            raise ValueError(f"reading.{name} must be a finite number, or one for each channel")
    side = reading.shorter_side
    if not isinstance(reading.resized, bool):
        raise ValueError(f"reading.resized must be true or false, got {reading.resized!r}")
    if side is not None and not (isinstance(side, int) and 1 <= side <= LARGEST_SIDE):
        raise ValueError(f"reading.shorter_side must be in 1 ... {LARGEST_SIDE}, got {side!r}")
    return reading


def _sides(values: Any) -> tuple[int, int]:
    """Rows and columns, in 1 ... LARGEST_SIDE."""
    height, width = map(int, values)
    if not all(1 <= side <= LARGEST_SIDE for side in (height, width)):
        raise ValueError(_SIDES)
    return height, width
