"""Map-style data sets of (frames, label), torch's, tonic's or one's own, as a data set of ours.

A label is a class, a whole number; or, of a regression, one number or a vector of them, of a
floating-point type. Which of the two, the first item says for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from tempreg.data.base import SPLITS, ArraySplit, DataSet, Split
from tempreg.data.errors import DataError
from tempreg.data.sources.arrays import drawn_parts
from tempreg.data.splits.resample import Subset
from tempreg.options import DataOptions

KEPT = 2**30
"""Bytes of a part that are kept in memory, so that each item is read once; larger parts are read
again in each epoch, by `workers` processes where there are some."""


class MapStyle(Protocol):
    """What torch calls a map-style data set: items (frames, label) by their index."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


@final
class MappedSplit(Split):
    """Items that are read when they are asked for.

    Args:
        items: (frames, label), frames [C, H, W] or [T, C, H, W] of `shape`.
        targets: see `Split`.
        shape: of every item.
        name: for sentences.
    """

    def __init__(self, items: MapStyle, targets: Tensor, shape: tuple[int, ...], name: str) -> None:
        self.items, self.targets, self.shape, self.name = items, targets, shape, name

    @override
    def inputs(self, indices: Tensor) -> Tensor:
        read = [_item(self.items, i, self.name) for i in indices.tolist()]
        for i, (frames, _) in zip(indices.tolist(), read, strict=True):
            if tuple(frames.shape) != self.shape:
                raise DataError(_uneven(self.name, i, frames, self.shape))
        x = torch.stack([frames for frames, _ in read]).to(torch.float32)
        return x.movedim(1, 0).contiguous() if x.ndim == 5 else x


def mapped_data_set(name: str, parts: Mapping[str, MapStyle], options: DataOptions) -> DataSet:
    """A data set of map-style ones by part; what isn't there is drawn from "train", by class.

    Frames are [C, H, W], [H, W], or with timesteps [T, C, H, W], T being the run's, of any real
    dtype, and are taken as they are. Labels are whole numbers from 0, or numbers [D], and then no
    part is drawn by class; names of classes, or of the D numbers, are those of the attribute
    `classes`, if there is one.

    Raises:
        DataError: an item that is no such pair, or of another shape than the first; the part and
            the index are named.
        ValueError: parts that are none, or another T than that of the run.
    """
    if "train" not in parts or set(parts) - set(SPLITS):
        raise ValueError(
            f"{name}: parts of a data set are {', '.join(SPLITS)}, train at least, got "
            f"{', '.join(map(str, parts)) or 'none'}"
        )
    read = {part: _read(f"{part} of {name}", items, options) for part, items in parts.items()}
    shapes = {split.inputs(torch.tensor([0])).shape for split in read.values()}
    if len(shapes) > 1:
        raise DataError(f"{name}: its parts have items of several shapes: {sorted(shapes)}")
    (shape,) = shapes
    if len(shape) == 5 and shape[0] != options.num_steps:
        raise ValueError(
            f"{name} has {shape[0]} timesteps, and num_steps is {options.num_steps}: set num_steps "
            f"{shape[0]}, or make frames of as many timesteps"
        )
    sizes = {split.numbers for split in read.values()}
    if len(sizes) > 1:
        raise DataError(
            f"{name}: its parts have labels of several kinds: give all whole numbers, or all as "
            "many numbers of a floating-point type"
        )
    labels = {part: split.strata.numpy() for part, split in read.items()}
    (numbers,) = sizes
    classes = (
        _named(name, parts["train"], numbers) if numbers else _classes(name, parts["train"], labels)
    )
    rows = drawn_parts(labels, options, classes).of
    train, validation, test = (_part(read, split, rows[split]) for split in SPLITS)
    size = (int(shape[-2]), int(shape[-1]))
    return DataSet(name, train, validation, test, classes, int(shape[-3]), size)


def _part(read: Mapping[str, Split], name: str, rows: NDArray[np.int64]) -> Split:
    if name in read and name != "train":
        return read[name]
    return Subset([read["train"]], torch.from_numpy(rows))


def _read(name: str, items: MapStyle, options: DataOptions) -> Split:
    """A part with its labels, for which each item is read once; in memory where that will do."""
    if not len(items):
        raise DataError(f"{name} has no items")
    first, label = _item(items, 0, name)
    shape = tuple(first.shape)
    targets = torch.empty(len(items), *label.shape, dtype=label.dtype)
    keep = options.cache and len(items) * first.numel() * first.element_size() <= KEPT
    kept = torch.empty((len(items) if keep else 0, *shape), dtype=first.dtype)
    for index in range(len(items)):
        frames, own = _item(items, index, name)
        if own.shape != label.shape or own.dtype != label.dtype:
            raise DataError(
                f"the label of item {index} of {name} is {_told(own)}, and that of item 0 "
                f"{_told(label)}: all must be of one kind"
            )
        targets[index] = own
        if tuple(frames.shape) != shape:
            raise DataError(_uneven(name, index, frames, shape))
        if keep:
            kept[index] = frames
    return ArraySplit(kept, targets) if keep else MappedSplit(items, targets, shape, name)


def _item(items: MapStyle, index: int, name: str) -> tuple[Tensor, Tensor]:
    """Frames [C, H, W] or [T, C, H, W], and the label: int64, 0-d, or float32 [D]; DataError where
    it isn't such a pair."""
    item = items[index]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise DataError(f"item {index} of {name} is a {type(item).__name__}, not (frames, label)")
    frames, label = torch.as_tensor(np.asarray(item[0])), item[1]
    target = _target(label)
    if target is None:
        raise DataError(
            f"the label of item {index} of {name} is {label!r}: it must be a whole number from 0, "
            "or a finite number or vector of a floating-point type"
        )
    frames = frames[None] if frames.ndim == 2 else frames
    if frames.ndim not in (3, 4) or not frames.numel():
        raise DataError(
            f"the frames of item {index} of {name} are {[*frames.shape]}: they must be [C, H, W], "
            "[H, W] or [T, C, H, W]"
        )
    if frames.is_floating_point() and not torch.isfinite(frames).all():
        raise DataError(f"the frames of item {index} of {name} hold numbers that are not finite")
    return frames, target


def _target(label: Any) -> Tensor | None:
    """A label as `_item` gives it; None where it is none."""
    if not isinstance(label, (int, float, np.number, Tensor, np.ndarray, list, tuple)):
        return None
    try:
        values = np.asarray(label)
    except ValueError:  # lists of several lengths
        return None
    if values.ndim == 0 and values.dtype.kind in "bui":
        return torch.tensor(int(values)) if 0 <= int(values) < 2**63 else None
    if values.ndim > 1 or not values.size or values.dtype.kind != "f":
        return None
    if not (np.abs(values) <= np.finfo(np.float32).max).all():  # not finite, or not in float32
        return None
    return torch.from_numpy(values.reshape(-1).astype(np.float32))


def _told(label: Tensor) -> str:
    return f"{len(label)} numbers" if label.ndim else "a whole number"


def _uneven(name: str, index: int, frames: Tensor, shape: tuple[int, ...]) -> str:
    return (
        f"item {index} of {name} is {[*frames.shape]}, and item 0 is {[*shape]}: all must have one "
        "shape"
    )


def _named(name: str, items: MapStyle, numbers: int) -> tuple[str, ...]:
    """Names of the numbers; DataError where there are others."""
    named: Sequence[object] | None = getattr(items, "classes", None)
    if named is None:
        return tuple(map(str, range(numbers)))
    if len(named) != numbers:
        raise DataError(f"{name} names {len(named)} classes, and its labels are {numbers} numbers")
    return tuple(map(str, named))


def _classes(
    name: str, items: MapStyle, labels: Mapping[str, NDArray[np.int64]]
) -> tuple[str, ...]:
    """Names of the classes; DataError for a label beyond them."""
    most = max(int(each.max()) for each in labels.values())
    named: Sequence[object] | None = getattr(items, "classes", None)
    if named is None:
        return tuple(map(str, range(most + 1)))
    if most >= len(named):
        raise DataError(f"{name} names {len(named)} classes, and has the label {most}")
    return tuple(map(str, named))
