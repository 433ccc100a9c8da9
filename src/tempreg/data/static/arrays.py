"""Images in memory, by parts, to a data set: split, resized, standardised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tempreg.data.base import SPLITS, ArraySplit, DataSet
from tempreg.data.options import DataOptions
from tempreg.data.single import Reading
from tempreg.data.source import DataError
from tempreg.data.splits import held_out


@dataclass(frozen=True)
class Images:
    """One part of a data set. Final.

    Attributes:
        pixels: uint8 [N, H, W, C], C is 1 or 3.
        labels: class indices [N].
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation by channel, of pixels in 0 ... 1. Final."""

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


def drawn_parts(parts: Mapping[str, NDArray[np.int64]], options: DataOptions) -> dict[str, NDArray[np.int64]]:  # fmt: skip  # noqa: E501
    """Rows by split: those that are there, and test, then validation, drawn from train if not.

    Args:
        parts: of SPLITS, at least train: the labels of each.

    Returns:
        For each of SPLITS the rows in its part, or in train where it isn't one.
    """
    labels = parts["train"]
    left = np.arange(len(labels))
    rows = {name: np.arange(len(parts[name])) for name in parts}
    for name in ("test", "validation"):
        if name not in parts:
            held = held_out(labels[left], options.validation, options.split_seed)
            rows[name], left = left[held], left[~held]
    return rows | {"train": left}


def array_data_set(
    name: str,
    parts: Mapping[str, Images],
    classes: Sequence[str],
    options: DataOptions,
    statistics: Statistics | None = None,
) -> DataSet:
    """Splits as in `drawn_parts`, standardised by `statistics`, None: of the training split.

    Raises:
        DataError: a part is empty, or a label is no class.
    """
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
    rows = drawn_parts({part: images.labels for part, images in parts.items()}, options)
    sized = {part: resized(images.pixels, options.size) for part, images in parts.items()}
    if len(shapes := {pixels.shape[1:] for pixels in sized.values()}) > 1:
        raise DataError(f"{name}: its parts hold images of several shapes (H, W, C): {shapes}")
    height, width, channels = sized["train"].shape[1:]
    if statistics is None:
        statistics = measured(sized["train"][rows["train"]])
    splits = []
    for split in SPLITS:
        part = split if split in parts else "train"
        chosen = np.ascontiguousarray(sized[part][rows[split]].transpose(0, 3, 1, 2))
        labels = torch.from_numpy(parts[part].labels[rows[split]])
        splits.append(
            ArraySplit(
                torch.from_numpy(chosen), labels, scale=statistics.scale, offset=statistics.offset
            )
        )
    size = (int(height), int(width))
    reading = Reading(
        "images",
        channels,
        size,
        statistics.scale,
        statistics.offset,
        resized=options.size is not None,
    )
    train, validation, test = splits
    return DataSet(name, train, validation, test, tuple(classes), channels, size, reading=reading)


def resized(pixels: NDArray[np.uint8], size: int | None) -> NDArray[np.uint8]:
    """[N, H, W, C] to [N, size, size, C], as `images.decoded` does it."""
    if size is None or pixels.shape[1:3] == (size, size):
        return pixels
    from tempreg.data.images import squared

    return np.stack([squared(image, size) for image in pixels])
