"""What training needs of a data set: three splits that give batches, and how they look.

Shapes: a batch of images is [B, C, H, W]; of event frames [T, B, C, H, W], time first; both
float32. Targets are class indices [B], int64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tempreg.data.single import Reading

SPLITS = ("train", "validation", "test")
LARGEST_SIDE = 2**15
"""Rows or columns of a sample or a sensor, or channels."""


class Split(ABC):
    """One part of a data set. Subclass it to read from somewhere else than memory."""

    targets: Tensor
    """Class indices of all samples, int64 [N]."""
    blank: float | Tensor = 0.0
    """What the inputs hold where nothing was seen, black or no event: one value or [C, 1, 1]."""

    @property
    def ids(self) -> Tensor:
        """Which item each sample is, int64 [N]: the same in every resampling of the data."""
        return torch.arange(len(self))

    def __len__(self) -> int:
        return len(self.targets)

    @abstractmethod
    def inputs(self, indices: Tensor) -> Tensor:
        """The inputs of these samples (int64 [B]): float32 [B, C, H, W] or [T, B, C, H, W]."""

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets of these samples."""
        return self.inputs(indices), self.targets[indices]


class ArraySplit(Split):
    """A split in memory: x * scale + offset of a compact tensor. Final.

    Args:
        values: [N, C, H, W] or [N, T, C, H, W], any real dtype.
        targets: [N], integer.
        scale, offset: applied after the conversion to float32; one value, or one a channel.
    """

    def __init__(
        self,
        values: Tensor,
        targets: Tensor,
        *,
        scale: float | Sequence[float] = 1.0,
        offset: float | Sequence[float] = 0.0,
    ) -> None:
        if len(values) != len(targets):
            raise ValueError(f"{len(values)} samples but {len(targets)} targets")
        self.values, self.targets = values, targets.long()
        self.plain = (scale, offset) == (1.0, 0.0)
        self.scale, self.offset = by_channel(scale), by_channel(offset)
        self.blank = self.offset

    def inputs(self, indices: Tensor) -> Tensor:
        """See `Split`."""
        x = self.values[indices].to(torch.float32)
        if x.ndim == 5:
            x = x.movedim(1, 0).contiguous()
        return x if self.plain else x * self.scale + self.offset


def by_channel(value: float | Sequence[float]) -> float | Tensor:
    """One value as it is; one a channel as float32 [C, 1, 1]."""
    if isinstance(value, Sequence):
        return torch.tensor(value, dtype=torch.float32)[:, None, None]
    return value


@dataclass(frozen=True)
class DataSet:
    """Three splits and what a network must know of them. Final.

    Attributes:
        name: as in the configuration.
        train, validation, test: the splits; validation is never part of the others.
        classes: one name each, in the order of the class indices.
        in_channels: C of the inputs (2 for events: OFF, ON).
        input_size: (H, W).
        reading: how a file becomes one more sample; None: there is no such way.
        remarks: what was guessed or left out, a sentence each.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    in_channels: int
    input_size: tuple[int, int]
    reading: Reading | None = None
    remarks: tuple[str, ...] = ()

    def split(self, name: str) -> Split:
        """A split by its name."""
        if name not in SPLITS:
            raise ValueError(f"unknown split {name!r}: choose one of {', '.join(SPLITS)}")
        split: Split = getattr(self, name)
        return split
