"""Changes that only event frames can have: events lost, events a little early or late.

Shapes: x [T, B, C, H, W], counts >= 0, whole or normalised. A cell is one (t, c, row, column)
of a sample; its events share a fate, for a frame doesn't tell them apart.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dropped(x: Tensor, generator: torch.Generator) -> Tensor:
    """EventDrop (Gu et al., doi 10.24963/ijcai.2021/97), on frames: one of four a sample.

    Nothing; a span of timesteps; a rectangle; or single cells by chance. The share of timesteps
    or cells is one of 0.1 ... 0.9, the rectangle's edges one of 0.05 ... 0.25 of the sensor's.
    """
    steps, samples, _, height, width = x.shape
    which = torch.randint(4, (samples,), generator=generator)
    share = torch.randint(1, 10, (samples,), generator=generator) / 10
    edge = torch.randint(1, 6, (samples,), generator=generator) / 20
    time = _span(steps, share, generator)[:, :, None, None]
    area = _span(height, edge, generator)[:, :, None] & _span(width, edge, generator)[:, None, :]
    lost = (which == 1)[:, None, None, None] & time | (which == 2)[:, None, None, None] & area[
        :, None
    ]
    x = torch.where(lost.to(x.device).movedim(1, 0)[:, :, None], 0.0, x)
    chosen = (which == 3).nonzero().flatten()
    if len(chosen):
        shape = (steps, len(chosen), *x.shape[2:])
        fate = torch.rand(shape, generator=generator) < share[chosen][:, None, None, None]
        chosen = chosen.to(x.device)
        kept = torch.where(fate.to(x.device), 0.0, x.index_select(1, chosen))
        x = x.index_copy(1, chosen, kept)
    return x


def jittered(x: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Each cell's events moved to the step before or after with probability chance / 2 each.

    None are lost: what would leave the recording stays.
    """
    draw = torch.rand(x.shape, generator=generator).to(x.device)
    early, late = draw < chance / 2, draw > 1 - chance / 2
    early[0], late[-1] = False, False
    moved = torch.where(early | late, 0.0, x)
    moved[:-1] += torch.where(early, x, 0.0)[1:]
    moved[1:] += torch.where(late, x, 0.0)[:-1]
    return moved


def _span(size: int, share: Tensor, generator: torch.Generator) -> Tensor:
    """Which of `size` places lie in a run of share[b] of them at a random place: bool [B, size]."""
    length = (share * size).round().clamp(min=1)
    start = (torch.rand(len(share), generator=generator) * (size - length + 1)).floor()
    place = torch.arange(size) - start[:, None]
    return (place >= 0) & (place < length[:, None])
