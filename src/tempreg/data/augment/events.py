"""Changes that only event frames can have: events lost, events a little early or late.

Shapes: x [T, B, C, H, W], counts >= 0, whole or normalised. A cell is one (t, c, row, column)
of a sample; its events share a fate, for a frame doesn't tell them apart.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tempreg.data.augment.draws import Change, changed


def dropped(x: Tensor, generator: torch.Generator) -> Tensor:
    """EventDrop (Gu et al., doi 10.24963/ijcai.2021/97), on frames: one of four a sample.

    Nothing; a span of timesteps; a rectangle; or single cells by chance. The share of timesteps
    or cells is one of 0.1 ... 0.9, the rectangle's edges one of 0.05 ... 0.25 of the sensor's.
    """
    return changed(x, [drop(x.shape, generator)])


def drop(shape: torch.Size, generator: torch.Generator) -> Change:
    """`dropped`, drawn for a batch of this shape."""
    steps, samples, _, height, width = shape
    which = torch.randint(4, (samples,), generator=generator)
    share = torch.randint(1, 10, (samples,), generator=generator) / 10
    edge = torch.randint(1, 6, (samples,), generator=generator) / 20
    time = _span(steps, share, generator)[:, :, None, None]
    area = _span(height, edge, generator)[:, :, None] & _span(width, edge, generator)[:, None, :]
    lost = (which == 1)[:, None, None, None] & time | (which == 2)[:, None, None, None] & area[
        :, None
    ]
    chosen = (which == 3).nonzero().flatten()
    if not len(chosen):
        return Change(_without_spans, lost)
    cells = (steps, len(chosen), *shape[2:])
    fate = torch.rand(cells, generator=generator) < share[chosen][:, None, None, None]
    return Change(_without_any, lost, chosen, fate)


def _without_spans(x: Tensor, lost: Tensor) -> Tensor:
    return torch.where(lost.movedim(1, 0)[:, :, None], 0.0, x)


def _without_any(x: Tensor, lost: Tensor, chosen: Tensor, fate: Tensor) -> Tensor:
    x = _without_spans(x, lost)
    return x.index_copy(1, chosen, torch.where(fate, 0.0, x.index_select(1, chosen)))


def jittered(x: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Each cell's events moved to the step before or after with probability chance / 2 each.

    None are lost: what would leave the recording stays.
    """
    return changed(x, [jitter(x.shape, chance, generator)])


def jitter(shape: torch.Size, chance: float, generator: torch.Generator) -> Change:
    """`jittered`, drawn for a batch of this shape."""
    draw = torch.rand(shape, generator=generator)
    early, late = draw < chance / 2, draw > 1 - chance / 2
    early[0], late[-1] = False, False
    return Change(_moved_in_time, early, late)


def _moved_in_time(x: Tensor, early: Tensor, late: Tensor) -> Tensor:
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
