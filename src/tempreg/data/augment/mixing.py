"""Batches mixed with themselves: inputs of two samples, and targets in proportion.

Shapes: x [B, C, H, W] or [T, B, C, H, W]; y class indices [B] become probabilities [B, classes].
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tempreg.data.augment.draws import sent


def mixup(
    x: Tensor, y: Tensor, classes: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """share * sample + (1 - share) * another, share ~ Beta(alpha, alpha) (arXiv 1710.09412)."""
    drawn = mixup_draws(len(y), alpha, generator)
    return with_mixup(x, y, classes, *sent(drawn, x.device))


def mixup_draws(samples: int, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The other sample of each, int64 [B], and the share, float32 [B]."""
    return torch.randperm(samples, generator=generator), _beta(samples, alpha, generator)


def with_mixup(
    x: Tensor, y: Tensor, classes: int, partner: Tensor, share: Tensor
) -> tuple[Tensor, Tensor]:
    """`mixup`, as drawn."""
    weight = share.to(x.dtype)[:, None, None, None]
    mixed = weight * x + (1 - weight) * x.index_select(-4 % x.ndim, partner)
    return mixed, _soft(y, partner, share, classes)


def cutmix(
    x: Tensor, y: Tensor, classes: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A box of each sample taken from another one (arXiv 1905.04899).

    The box would cover 1 - Beta(alpha, alpha) of the area; where the border cuts it, the targets
    follow what is really covered.
    """
    drawn = cutmix_draws(x.shape, alpha, generator)
    return with_cutmix(x, y, classes, *sent(drawn, x.device))


def cutmix_draws(
    shape: torch.Size, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """The other sample of each, int64 [B]; what stays of it, float32 [B]; the boxes [B, H, W]."""
    samples, (height, width) = shape[-4], shape[-2:]
    partner = torch.randperm(samples, generator=generator)
    edge = (1 - _beta(samples, alpha, generator)).sqrt()
    inside = []
    for size in (height, width):
        centre = torch.randint(size, (samples,), generator=generator)
        half = edge * size / 2
        place = torch.arange(size)
        inside.append(((place + 0.5) - (centre[:, None] + 0.5)).abs() < half[:, None])
    box = inside[0][:, :, None] & inside[1][:, None, :]
    return partner, 1 - box.flatten(1).float().mean(dim=1), box


def with_cutmix(
    x: Tensor, y: Tensor, classes: int, partner: Tensor, share: Tensor, box: Tensor
) -> tuple[Tensor, Tensor]:
    """`cutmix`, as drawn."""
    mixed = torch.where(box[:, None], x.index_select(-4 % x.ndim, partner), x)
    return mixed, _soft(y, partner, share, classes)


def _beta(count: int, alpha: float, generator: torch.Generator) -> Tensor:
    """`count` draws, float32; torch's own Beta takes no generator."""
    seed = int(torch.randint(2**62, (1,), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, count)).float()


def _soft(y: Tensor, partner: Tensor, share: Tensor, classes: int) -> Tensor:
    hot = F.one_hot(y, classes).float()
    return share[:, None] * hot + (1 - share[:, None]) * hot[partner]
