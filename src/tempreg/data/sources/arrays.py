"""Images in memory, by parts, to a data set: split, resized, standardised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from tempreg.data.base import SPLITS, ArraySplit, DataSet
from tempreg.data.errors import DataError
from tempreg.data.reading import Reading
from tempreg.data.splits.drawn import last_of_each_class
from tempreg.data.splits.parts import draw
from tempreg.data.splits.sessions import Sessions
from tempreg.options import DataOptions


@final
@dataclass(frozen=True)
class Images:
    """One part of a data set.

    Attributes:
        pixels: uint8 [N, H, W, C], C is 1 or 3.
        labels: class indices [N].
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@final
@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation by channel, of pixels in 0 ... 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def scale(self) -> tuple[float, ...]:
        """What pixels in 0 ... 255 are multiplied by."""
        return tuple(1 / (255 * s) for s in self.std)

    @property
    def offset(self) -> tuple[float, ...]:
        """What is added after that."""
        return tuple(-m / s for m, s in zip(self.mean, self.std, strict=True))


TEST_SHARE = 0.1
"""Of each class, where no test part is official and no validation part is drawn."""


def as_asked(statistics: Statistics, options: DataOptions, channels: int) -> Statistics:
    """The statistics, or what `options` has in their place; ValueError for other channels."""
    for name in ("mean", "std"):
        values = getattr(options, name)
        if values is None:
            continue
        if len(values) != channels:
            raise ValueError(
                f"data.{name} has {len(values)} values, and the images have {channels} "
                f"channel{'s' if channels > 1 else ''}"
            )
        statistics = replace(statistics, **{name: tuple(values)})
    return statistics


def check_images(options: DataOptions) -> None:
    """ValueError for an option of images that contradicts another."""
    if options.shorter_side is not None and options.size is None:
        raise ValueError("data.shorter_side needs data.size, what is cut out after it: set both")


def measured(pixels: NDArray[np.uint8]) -> Statistics:
    """The statistics of [N, H, W, C]; a channel without contrast is left as wide as it is."""
    values = np.arange(256) / 255
    mean, std = [], []
    for channel in range(pixels.shape[3]):
        counts = np.bincount(pixels[..., channel].ravel(), minlength=256)
        share = counts / max(pixels[..., 0].size, 1)
        mean.append(float(share @ values))
        std.append(float(np.sqrt(share @ (values - mean[-1]) ** 2)) or 1.0)
    return Statistics(tuple(mean), tuple(std))


@final
@dataclass(frozen=True)
class Rows:
    """Which samples are in which split.

    Attributes:
        of: for each of SPLITS the rows in its part, or in train where it isn't one.
        cautions: see `DataSet`.
        sessions: see `DataSet`.
    """

    of: dict[str, NDArray[np.int64]]
    cautions: tuple[str, ...] = ()
    sessions: torch.Tensor | None = None


def drawn_parts(
    parts: Mapping[str, NDArray[np.int64]],
    options: DataOptions,
    classes: Sequence[str] = (),
    names: Sequence[object] | None = None,
    sessions: Sessions | None = None,
) -> Rows:
    """Those that are there, and test, then validation, taken from train if not.

    Args:
        parts: of SPLITS, at least train: the labels of each.
        options: share and seed.
        classes: names, for errors.
        names: of the training part, what sorts it for data.test_part last; None: its order.
        sessions: of the samples of all parts, in the order of SPLITS; None: each is on its own.

    Raises:
        DataError: a class that has too few samples for that; it is named.
    """
    labels = parts["train"]
    member = np.full(len(labels), "train", dtype="<U10")
    shares = dict.fromkeys(("test", "validation"), options.validation or TEST_SHARE)
    shares = {name: share for name, share in shares.items() if name not in parts}
    if options.validation == 0:
        shares.pop("validation", None)
    if options.test_part == "last" and "test" in shares:
        del shares["test"]
        keys = range(len(labels)) if names is None else names
        member[last_of_each_class(labels, keys)] = "test"
    left = np.flatnonzero(member == "train")
    of_left = None if sessions is None else sessions.of(left)
    drawn = draw(labels[left], shares, options.split_seed, classes, of_left)
    member[left] = drawn.part
    rows = {name: np.flatnonzero(member == name) for name in SPLITS}
    rows |= {name: np.arange(len(of)) for name, of in parts.items() if name != "train"}
    if sessions is None:
        return Rows(rows, drawn.cautions)
    begins = dict(zip(parts, np.cumsum([0, *map(len, parts.values())]), strict=False))
    kept = np.concatenate([rows[n] + (begins[n] if n in parts else 0) for n in SPLITS])
    numbers = sessions.for_folds(np.concatenate(list(parts.values())))
    return Rows(rows, drawn.cautions, torch.from_numpy(numbers[kept]))


def array_data_set(
    name: str,
    parts: Mapping[str, Images],
    classes: Sequence[str],
    options: DataOptions,
    statistics: Statistics | None = None,
    names: Sequence[object] | None = None,
    sessions: Sessions | None = None,
) -> DataSet:
    """Splits as in `drawn_parts`, standardised by `statistics`, None: of the training split.

    `options` may have other statistics.

    Raises:
        DataError: a part is empty, or a label is no class.
    """
    _check_parts(name, parts, classes)
    check_images(options)
    labels_of = {part: images.labels for part, images in parts.items()}
    drawn = drawn_parts(labels_of, options, classes, names, sessions)
    rows = drawn.of
    sized = {part: resized(images.pixels, options) for part, images in parts.items()}
    if len(shapes := {pixels.shape[1:] for pixels in sized.values()}) > 1:
        raise DataError(f"{name}: its parts hold images of several shapes (H, W, C): {shapes}")
    height, width, channels = sized["train"].shape[1:]
    remarks = _blank(name, sized["train"][rows["train"]])
    if statistics is None:
        statistics = measured(sized["train"][rows["train"]])
    statistics = as_asked(statistics, options, channels)
    scale, offset = statistics.scale, statistics.offset
    splits = []
    for split in SPLITS:
        part = split if split in parts else "train"
        chosen = np.ascontiguousarray(sized[part][rows[split]].transpose(0, 3, 1, 2))
        labels = torch.from_numpy(labels_of[part][rows[split]])
        splits.append(ArraySplit(torch.from_numpy(chosen), labels, scale=scale, offset=offset))
    size = (int(height), int(width))
    reading = Reading(
        "images",
        channels,
        size,
        statistics.scale,
        statistics.offset,
        resized=options.size is not None,
        shorter_side=options.shorter_side,
    )
    train, validation, test = splits
    return DataSet(
        name,
        train,
        validation,
        test,
        tuple(classes),
        channels,
        size,
        reading,
        tuple(remarks),
        drawn.sessions,
        drawn.cautions,
    )


def _check_parts(name: str, parts: Mapping[str, Images], classes: Sequence[str]) -> None:
    """DataError for a part that is empty, or whose labels don't fit."""
    for part, images in parts.items():
        if len(images.labels) == 0:
            raise DataError(f"{name} has no images in its {part} part")
        if len(images.labels) != len(images.pixels):
            raise DataError(
                f"{name}: {len(images.pixels)} images but {len(images.labels)} labels in its "
                f"{part} part"
            )
        least, most = int(images.labels.min()), int(images.labels.max())
        if least < 0 or most >= len(classes):
            bad = int(np.flatnonzero((images.labels < 0) | (images.labels >= len(classes)))[0])
            raise DataError(
                f"{name}: label {int(images.labels[bad])} of {part} image {bad} is not in 0 ... "
                f"{len(classes) - 1}"
            )


def _blank(name: str, pixels: NDArray[np.uint8]) -> list[str]:
    """A remark on training images [N, H, W, C] of one colour; DataError where all are the same."""
    if not len(pixels):
        return []
    if len(pixels) > 1 and (pixels == pixels[0]).all():
        raise DataError(
            f"all {len(pixels)} training images of {name} are the same: nothing tells the classes "
            "apart"
        )
    flat = pixels.reshape(len(pixels), -1, pixels.shape[3])
    blank = int((flat == flat[:, :1]).all(axis=(1, 2)).sum()) if flat.shape[1] > 1 else 0
    return [f"{blank} of {len(pixels)} training images are one colour all over"] if blank else []


def resized(pixels: NDArray[np.uint8], options: DataOptions) -> NDArray[np.uint8]:
    """[N, H, W, C] to [N, size, size, C], as `images.decoded` does it."""
    size, side = options.size, options.shorter_side
    if size is None or (pixels.shape[1:3] == (size, size) and side in (None, size)):
        return pixels
    from tempreg.data.formats.images import squared

    return np.stack([squared(image, size, side) for image in pixels])
