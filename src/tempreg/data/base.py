"""What training needs of a data set: three splits that give batches, and how they look.

Shapes: a batch of images is [B, C, H, W]; of event frames [T, B, C, H, W], time first; both
float32. Targets are class indices [B], int64; or, of a regression, numbers [B, D], float32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from tempreg.data.finishing import Finishing, finishing
from tempreg.data.reading import Reading, by_channel

SPLITS = ("train", "validation", "test")


class Split(ABC):
    """One part of a data set. Subclass it to read from somewhere else than memory."""

    targets: Tensor
    """Class indices of all samples, int64 [N]; or numbers, float32 [N, D]."""
    blank: float | Tensor = 0.0
    """What the inputs hold where nothing was seen, black or no event: one value or [C, 1, 1]."""

    croppable = False
    """Whether `cropped` gives something else than `inputs`."""

    finishing: Finishing | None = None
    """What makes inputs of what `compact` gives; None: nothing is left to do."""

    @property
    def ids(self) -> Tensor:
        """Which item each sample is, int64 [N]: the same in every resampling of the data."""
        return torch.arange(len(self))

    @property
    def numbers(self) -> int:
        """D, where the targets are numbers; 0 where they are classes."""
        return self.targets.shape[1] if self.targets.ndim == 2 else 0

    @property
    def strata(self) -> Tensor:
        """What parts are drawn by, int64 [N]: the classes; of numbers all are of one."""
        return self.targets.new_zeros(len(self)).long() if self.numbers else self.targets

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        if self.numbers:
            return f"<{type(self).__name__}: {len(self):,} samples of {self.numbers} numbers>"
        counts = torch.bincount(self.targets).tolist() if len(self) else []
        shown = ", ".join(f"{count:,}" for count in counts[:10]) + ", ..." * (len(counts) > 10)
        return f"<{type(self).__name__}: {len(self):,} samples, by class {shown or 'none'}>"

    @abstractmethod
    def inputs(self, indices: Tensor) -> Tensor:
        """The inputs of these samples (int64 [B]): float32 [B, C, H, W] or [T, B, C, H, W]."""

    def cropped(self, indices: Tensor, seed: int) -> Tensor:
        """As `inputs`, of a random part of each image, resized; see `crops.random_crop`.

        What is drawn depends on the seed and the sample alone. Only where it is `croppable`.
        """
        raise NotImplementedError

    def compact(self, indices: Tensor, seed: int | None = None) -> Tensor:
        """What `finished` makes the inputs of these samples of; with a seed, as `cropped`.

        Override it together with `finishing`, where counts or pixels take fewer bytes than float32:
        so they travel from process to process, and to a GPU.
        """
        return self.inputs(indices) if seed is None else self.cropped(indices, seed)

    def finished(self, x: Tensor) -> Tensor:
        """float32 inputs of what `compact` gave, wherever it lies by now."""
        return x if self.finishing is None else self.finishing(x)

    def batch(self, indices: Tensor, seed: int | None = None) -> tuple[Tensor, Tensor]:
        """Inputs and targets of these samples; with a seed, as `cropped`."""
        x = self.inputs(indices) if seed is None else self.cropped(indices, seed)
        return x, self.targets[indices]


class CompactSplit(Split):
    """A split that holds what its inputs are made of in fewer bytes: it has `compact` in its own
    way, and `finishing` for all inputs."""

    @override
    @final
    def inputs(self, indices: Tensor) -> Tensor:
        """See `Split`; raises what `compact` does."""
        return self.finished(self.compact(indices))

    @override
    @final
    def cropped(self, indices: Tensor, seed: int) -> Tensor:
        """See `Split`; raises what `compact` does."""
        return self.finished(self.compact(indices, seed))

    @override
    @abstractmethod
    def compact(self, indices: Tensor, seed: int | None = None) -> Tensor:
        """See `Split`."""


@final
class ArraySplit(CompactSplit):
    """A split in memory: x * scale + offset of a compact tensor.

    Args:
        values: [N, C, H, W] or [N, T, C, H, W], any real dtype.
        targets: [N], integer; or numbers [N, D].
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
        self.values = values
        self.targets = targets.float() if targets.ndim == 2 else targets.long()
        self.finishing = finishing(scale, offset)
        self.blank = by_channel(offset)
        self.croppable = values.ndim == 4 and values.dtype == torch.uint8

    @override
    def compact(self, indices: Tensor, seed: int | None = None) -> Tensor:
        if seed is not None:
            return self._crops(indices, seed)
        x = self.values[indices]
        if x.element_size() > 4:
            x = x.to(torch.float32)
        return x.movedim(1, 0).contiguous() if x.ndim == 5 else x

    def _crops(self, indices: Tensor, seed: int) -> Tensor:
        from tempreg.data.formats.crops import random_crop

        pixels = self.values[indices].permute(0, 2, 3, 1).numpy()
        size = (pixels.shape[1], pixels.shape[2])
        parts = [
            random_crop(image, size, seed, index)
            for image, index in zip(pixels, indices.tolist(), strict=True)
        ]
        return torch.from_numpy(np.stack(parts)).permute(0, 3, 1, 2).contiguous()


@final
@dataclass(frozen=True, repr=False)
class DataSet:
    """Three splits and what a network must know of them.

    Attributes:
        name: as in the configuration.
        train, validation, test: the splits; validation is never part of the others.
        classes: one name each, in the order of the class indices; of a regression, names of its D
            numbers.
        in_channels: C of the inputs (2 for events: OFF, ON).
        input_size: (H, W).
        reading: how a file becomes one more sample; None: there is no such way.
        remarks: what was guessed or left out, a sentence each.
        sessions: for all samples, in the order of SPLITS, a number of what folds never divide: a
            session, or a stretch of one, int64 [N]; None: each sample is on its own.
        cautions: what limits what the accuracies say, a sentence each.
        skipped: what was left out because it is damaged, a sentence each.
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
    sessions: Tensor | None = None
    cautions: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(self.split(name)):,}" for name in SPLITS)
        classes = ", ".join(self.classes[:4]) + (", ..." if len(self.classes) > 4 else "")
        height, width = self.input_size
        shape = f"{self.in_channels} x {height} x {width}"
        if self.numbers:
            return f"<DataSet {self.name}: {sizes}; {self.numbers} numbers ({classes}); {shape}>"
        return f"<DataSet {self.name}: {sizes}; {len(self.classes)} classes ({classes}); {shape}>"

    @property
    def numbers(self) -> int:
        """D, of a regression; 0 where targets are classes."""
        return self.train.numbers

    def split(self, name: str) -> Split:
        """A split by its name."""
        if name not in SPLITS:
            raise ValueError(f"unknown split {name!r}: choose one of {', '.join(SPLITS)}")
        split: Split = getattr(self, name)
        return split
