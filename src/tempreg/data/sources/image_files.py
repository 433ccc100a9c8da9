"""Image files: decoded for each batch, or all at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from tempreg.data.base import CompactSplit
from tempreg.data.errors import DataError
from tempreg.data.finishing import finishing
from tempreg.data.formats.crops import random_crop
from tempreg.data.formats.images import decoded
from tempreg.data.reading import by_channel
from tempreg.data.sources.arrays import Statistics


@final
class FileSplit(CompactSplit):
    """Image files that are decoded for each batch.

    Args:
        files: one a sample.
        targets: class indices [N].
        channels, size, shorter_side: see `images.decoded`.
        statistics: the images are standardised by them.
        shape: (H, W) of the inputs.
    """

    croppable = True

    def __init__(
        self,
        files: Sequence[Path],
        targets: Tensor,
        channels: int,
        size: int | None,
        statistics: Statistics,
        *,
        shape: tuple[int, int],
        shorter_side: int | None = None,
    ) -> None:
        self.files, self.targets = list(files), targets.long()
        self.channels, self.size, self.shape = channels, size, shape
        self.shorter_side = shorter_side
        self.finishing = finishing(statistics.scale, statistics.offset)
        self.blank = by_channel(statistics.offset)

    @override
    def compact(self, indices: Tensor, seed: int | None = None) -> Tensor:
        """uint8 pixels, cropped from the whole image in each file; DataError of a damaged one."""
        places = indices.tolist()
        if seed is None:
            side = self.shorter_side
            pixels = [
                decoded(self.files[i], self.channels, self.size, shorter_side=side) for i in places
            ]
        else:
            pixels = [
                random_crop(decoded(self.files[i], self.channels), self.shape, seed, i)
                for i in places
            ]
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()


def all_decoded(
    files: Sequence[Path],
    shape: tuple[int, int, int],
    size: int | None,
    shorter_side: int | None,
) -> NDArray[np.uint8]:
    """The pixels [N, H, W, C] of `shape` (H, W, C); DataError where a file has others."""
    pixels = np.empty((len(files), *shape), dtype=np.uint8)
    for i, file in enumerate(files):
        image = decoded(file, shape[2], size, shorter_side=shorter_side)
        if image.shape != shape:
            raise DataError(
                f"{file} has {image.shape[1]} x {image.shape[0]} pixels, others {shape[1]} x "
                f"{shape[0]}: give data.size"
            )
        pixels[i] = image
    return pixels
