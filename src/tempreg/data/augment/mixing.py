"""Batches mixed with themselves: inputs of two samples, and targets in proportion.

Shapes: x [B, C, H, W] or [T, B, C, H, W]; y class indices [B] become probabilities [B, classes].
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def mixup(
    x: Tensor, y: Tensor, classes: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """share * sample + (1 - share) * another, share ~ Beta(alpha, alpha) (arXiv 1710.09412)."""
    partner = torch.randperm(len(y), generator=generator).to(x.device)
    share = _beta(len(y), alpha, generator).to(x.device)
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
    height, width = x.shape[-2:]
    partner = torch.randperm(len(y), generator=generator).to(x.device)
    edge = (1 - _beta(len(y), alpha, generator)).sqrt()
    inside = []
    for size in (height, width):
        centre = torch.randint(size, (len(y),), generator=generator)
        half = edge * size / 2
        place = torch.arange(size)
        inside.append(((place + 0.5) - (centre[:, None] + 0.5)).abs() < half[:, None])
    box = inside[0][:, :, None] & inside[1][:, None, :]
    share = (1 - box.flatten(1).float().mean(dim=1)).to(x.device)
    box = box.to(x.device)[:, None]
    mixed = torch.where(box, x.index_select(-4 % x.ndim, partner), x)
    return mixed, _soft(y, partner, share, classes)


def _beta(count: int, alpha: float, generator: torch.Generator) -> Tensor:
    """`count` draws, float32; torch's own Beta takes no generator."""
    seed = int(torch.randint(2**62, (1,), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, count)).float()


def _soft(y: Tensor, partner: Tensor, share: Tensor, classes: int) -> Tensor:
    hot = F.one_hot(y, classes).float()
    return share[:, None] * hot + (1 - share[:, None]) * hot[partner]
