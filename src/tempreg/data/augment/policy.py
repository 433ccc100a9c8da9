"""Which random changes a training batch goes through, drawn from a generator the caller seeds.

Draws happen on the CPU, so that a run is the same on every device; the changes themselves are
made on whole batches, where the batch lies. There an angle's sine may round otherwise than on the
CPU, and a pixel halfway between two take the other one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import final

import torch
from torch import Tensor

from tempreg.data.augment.draws import Change, changed, sent
from tempreg.data.augment.events import drop, jitter
from tempreg.data.augment.geometry import mirrored, rolled, shifted, turned, with_cutout
from tempreg.data.augment.mixing import cutmix_draws, mixup_draws, with_cutmix, with_mixup
from tempreg.data.augment.rand import RandAugmentation
from tempreg.options import AugmentOptions

NDA_SHIFT, NDA_ANGLE = 5, 30.0
"""Pixels and degrees that the recipe's published code uses for CIFAR10-DVS at 48 x 48, there as a
roll around the border; for N-Caltech101 it turns and shears by half as much."""


@final
@dataclass(frozen=True)
class Augmentation(AugmentOptions):
    """Random changes; what they are, and their ranges: `AugmentOptions`. NDA's (Li et al. 2022,
    arXiv 2203.06145, without wrap-around) are a shift by up to 5 pixels, or a rotation or a shear
    by up to 30 degrees. With mixup and cutmix, each batch goes through one of them, by a fair coin.

    Attributes:
        rand_augment: what `rand` asks for, with its magnitude; None without.
    """

    rand_augment: RandAugmentation | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.rand > 0) != (self.rand_augment is not None):
            raise ValueError("augment.rand and rand_augment go together: give both or none")

    @property
    def needs_events(self) -> bool:
        """Whether it is only for event frames [T, B, C, H, W]."""
        return self.drop or self.jitter > 0

    @property
    def changes(self) -> bool:
        """Whether it does anything at all."""
        return self != Augmentation()

    def __call__(
        self, x: Tensor, generator: torch.Generator, blank: float | Tensor = 0.0
    ) -> Tensor:
        """A changed copy, or x itself where nothing is to be done; `mixed` comes after it.

        Raises:
            ValueError: events are to be dropped or jittered, and x is a batch of images; or
                RandAugment was asked for, and it is not.
        """
        self._check(x)
        return changed(x, self._changes(x.shape, generator, blank))

    def mixed(
        self, x: Tensor, y: Tensor, classes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Inputs and soft targets [B, classes], or x and y themselves where neither is set."""
        mix, draws = self._mixing(x.shape, classes, generator)
        return mix(x, y, *sent(draws, x.device))

    def batch(
        self,
        x: Tensor,
        y: Tensor,
        classes: int,
        generator: torch.Generator,
        blank: float | Tensor = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Both, of which all that is drawn goes to where x lies in one copy."""
        self._check(x)
        changes = self._changes(x.shape, generator, blank)
        mix, draws = self._mixing(x.shape, classes, generator)
        counts = [len(change.draws) for change in changes]
        arrived = iter(sent([*(d for c in changes for d in c.draws), *draws], x.device))
        for change, count in zip(changes, counts, strict=True):
            x = change.make(x, *islice(arrived, count))
        return mix(x, y, *arrived)

    def _check(self, x: Tensor) -> None:
        if self.needs_events and x.ndim != 5:
            raise ValueError("drop and jitter are for event frames [T, B, C, H, W], not images")
        if self.rand_augment is not None and x.ndim != 4:
            raise ValueError("RandAugment is for images [B, C, H, W], not event frames")

    def _changes(
        self, shape: torch.Size, generator: torch.Generator, blank: float | Tensor
    ) -> list[Change]:
        """What is to be done to a batch of this shape, drawn in the order in which it is done."""
        samples, (height, width) = shape[-4], shape[-2:]
        filled = _filler(blank)
        changes = []
        if self.shift:
            changes.append(filled(shifted, *_moves(self.shift, samples, generator)))
        if self.roll:
            changes.append(Change(rolled, *_moves(self.roll, samples, generator)))
        if self.rotate or self.shear:
            degrees = _angles(self.rotate, samples, generator)
            changes.append(filled(turned, degrees, _angles(self.shear, samples, generator)))
        if self.nda:
            changes += _nda(samples, generator, filled)
        if self.flip:
            changes.append(Change(mirrored, torch.rand(samples, generator=generator) < 0.5))
        if self.rand_augment is not None:
            changes.append(self.rand_augment.change(samples, generator))
        if self.drop:
            changes.append(drop(shape, generator))
        if self.jitter:
            changes.append(jitter(shape, self.jitter, generator))
        if self.cutout:
            rows = torch.randint(height, (samples,), generator=generator)
            columns = torch.randint(width, (samples,), generator=generator)
            fill = _filler(blank if self.cutout_fill == "black" else 0.0)
            cut = partial(_cut, self.cutout)
            changes.append(fill(cut, rows, columns))
        return changes

    def _mixing(
        self, shape: torch.Size, classes: int, generator: torch.Generator
    ) -> tuple[Callable[..., tuple[Tensor, Tensor]], tuple[Tensor, ...]]:
        """A function of inputs, targets and what is drawn for them, and that."""
        if not (self.mixup or self.cutmix):
            return lambda x, y: (x, y), ()
        coin = bool(torch.rand((), generator=generator) < 0.5)
        if self.mixup and (coin or not self.cutmix):
            drawn: tuple[Tensor, ...] = mixup_draws(shape[-4], self.mixup, generator)
            return lambda x, y, *d: with_mixup(x, y, classes, *d), drawn
        drawn = cutmix_draws(shape, self.cutmix, generator)
        return lambda x, y, *d: with_cutmix(x, y, classes, *d), drawn


def _filler(blank: float | Tensor) -> Callable[..., Change]:
    """Makes changes whose function takes `blank` as its last argument, wherever the batch lies."""
    if isinstance(blank, Tensor):
        return lambda make, *draws: Change(make, *draws, blank)
    return lambda make, *draws: Change(lambda x, *d: make(x, *d, blank), *draws)


def _cut(size: int, x: Tensor, rows: Tensor, columns: Tensor, fill: float | Tensor) -> Tensor:
    return with_cutout(x, rows, columns, size, fill)


def _nda(samples: int, generator: torch.Generator, filled: Callable[..., Change]) -> list[Change]:
    which = torch.randint(3, (samples,), generator=generator)
    moves = _moves(NDA_SHIFT, samples, generator) * (which == 0)
    degrees, shear = (_angles(NDA_ANGLE, samples, generator) * (which == i) for i in (1, 2))
    return [filled(shifted, *moves), filled(turned, degrees, shear)]


def _moves(most: int, samples: int, generator: torch.Generator) -> Tensor:
    """Rows and columns to move by: int64 [2, B]."""
    return torch.randint(-most, most + 1, (2, samples), generator=generator)


def _angles(most: float, samples: int, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(samples, generator=generator) - 1) * most
