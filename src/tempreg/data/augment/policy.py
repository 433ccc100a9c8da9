"""Which random changes a training batch goes through, drawn from a generator the caller seeds.

Draws happen on the CPU, so that a run is the same on every device; the changes themselves are
made on whole batches, where the batch lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tempreg.data.augment.events import dropped, jittered
from tempreg.data.augment.geometry import mirrored, shifted, turned, with_cutout
from tempreg.data.augment.mixing import cutmix, mixup
from tempreg.data.augment.rand import RandAugmentation

NDA_SHIFT, NDA_ANGLE = 5, 30.0
"""Pixels and degrees that the recipe's published code uses for CIFAR10-DVS at 48 x 48, there as a
roll around the border; for N-Caltech101 it turns and shears by half as much."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes, in the order of the attributes. Final.

    Attributes:
        shift: most pixels to move by in each direction, what enters is blank (a crop of an
            image padded by as much), >= 0.
        rotate: most degrees to turn by, in [0, 180].
        shear: most degrees to shear by, in [0, 90).
        nda: for each sample one of shift by up to 5 pixels, rotation and shear by up to 30
            degrees (after Li et al. 2022, arXiv 2203.06145, without wrap-around).
        flip: mirror each sample with probability 1/2.
        rand: RandAugment of images, or None.
        drop: lose events, see `events.dropped`.
        jitter: probability that a cell's events move by a timestep, in [0, 1].
        cutout: edge of a square that is set to 0 at a random place, possibly cut by the border
            (DeVries and Taylor 2017), >= 0.
        mixup, cutmix: alpha of their Beta(alpha, alpha), 0 for without, >= 0. With both, each
            batch goes through one of them, by a fair coin.
    """

    shift: int = 0
    rotate: float = 0.0
    shear: float = 0.0
    nda: bool = False
    flip: bool = False
    rand: RandAugmentation | None = None
    drop: bool = False
    jitter: float = 0.0
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        for name in ("shift", "cutout", "mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        for name, most in (("rotate", 180), ("shear", 89), ("jitter", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be in [0, {most}], got {getattr(self, name)}")

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
        if self.needs_events and x.ndim != 5:
            raise ValueError("drop and jitter are for event frames [T, B, C, H, W], not images")
        if self.rand is not None and x.ndim != 4:
            raise ValueError("RandAugment is for images [B, C, H, W], not event frames")
        samples = x.shape[-4]
        if isinstance(blank, Tensor):
            blank = blank.to(x.device)
        if self.shift:
            down, right = _moves(self.shift, samples, generator).to(x.device)
            x = shifted(x, down, right, blank)
        if self.rotate or self.shear:
            degrees = _angles(self.rotate, samples, generator)
            shear = _angles(self.shear, samples, generator)
            x = turned(x, degrees.to(x.device), shear.to(x.device), blank)
        if self.nda:
            x = _nda(x, generator, blank)
        if self.flip:
            chosen = torch.rand(samples, generator=generator).to(x.device) < 0.5
            x = mirrored(x, chosen)
        if self.rand is not None:
            x = self.rand(x, generator)
        if self.drop:
            x = dropped(x, generator)
        if self.jitter:
            x = jittered(x, self.jitter, generator)
        if self.cutout:
            height, width = x.shape[-2:]
            rows = torch.randint(height, (samples,), generator=generator).to(x.device)
            columns = torch.randint(width, (samples,), generator=generator).to(x.device)
            x = with_cutout(x, rows, columns, self.cutout)
        return x

    def mixed(
        self, x: Tensor, y: Tensor, classes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Inputs and soft targets [B, classes], or x and y themselves where neither is set."""
        if not (self.mixup or self.cutmix):
            return x, y
        coin = bool(torch.rand((), generator=generator) < 0.5)
        if self.mixup and (coin or not self.cutmix):
            return mixup(x, y, classes, self.mixup, generator)
        return cutmix(x, y, classes, self.cutmix, generator)


def _nda(x: Tensor, generator: torch.Generator, blank: float | Tensor) -> Tensor:
    samples = x.shape[-4]
    which = torch.randint(3, (samples,), generator=generator)
    moves = _moves(NDA_SHIFT, samples, generator) * (which == 0)
    degrees, shear = (_angles(NDA_ANGLE, samples, generator) * (which == i) for i in (1, 2))
    down, right = moves.to(x.device)
    x = shifted(x, down, right, blank)
    return turned(x, degrees.to(x.device), shear.to(x.device), blank)


def _moves(most: int, samples: int, generator: torch.Generator) -> Tensor:
    """Rows and columns to move by: int64 [2, B]."""
    return torch.randint(-most, most + 1, (2, samples), generator=generator)


def _angles(most: float, samples: int, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(samples, generator=generator) - 1) * most
