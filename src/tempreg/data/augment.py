"""Random changes of whole training batches, drawn from a generator that the caller seeds.

Shapes: x [B, C, H, W] or [T, B, C, H, W]; each sample is changed alike at all timesteps.
Draws happen on the CPU, so that a run is the same on every device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Random shift, horizontal flip and cutout, in this order. Final.

    Attributes:
        shift: most pixels to move by in each direction, what enters is blank (a crop of an
            image padded by as much), >= 0.
        flip: mirror each sample with probability 1/2.
        cutout: edge of a square that is set to 0 at a random place, possibly cut by the border
            (DeVries and Taylor 2017), >= 0.
    """

    shift: int = 0
    flip: bool = False
    cutout: int = 0

    def __post_init__(self) -> None:
        for name in ("shift", "cutout"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")

    def __call__(self, x: Tensor, generator: torch.Generator, blank: float = 0.0) -> Tensor:
        """A changed copy, or x itself where nothing is to be done."""
        samples = x.shape[-4]
        if self.shift:
            moves = torch.randint(
                -self.shift, self.shift + 1, (2, samples), generator=generator
            ).to(x.device)
            x = shifted(x, moves[0], moves[1], blank)
        if self.flip:
            chosen = torch.rand(samples, generator=generator).to(x.device) < 0.5
            x = torch.where(chosen[:, None, None, None], x.flip(-1), x)
        if self.cutout:
            height, width = x.shape[-2:]
            rows = torch.randint(height, (samples,), generator=generator).to(x.device)
            columns = torch.randint(width, (samples,), generator=generator).to(x.device)
            x = with_cutout(x, rows, columns, self.cutout)
        return x


def shifted(x: Tensor, down: Tensor, right: Tensor, blank: float = 0.0) -> Tensor:
    """Sample b moved by down[b] rows and right[b] columns (int64 [B]); `blank` enters."""
    height, width = x.shape[-2:]
    rows = torch.arange(height, device=x.device) - down[:, None]
    columns = torch.arange(width, device=x.device) - right[:, None]
    inside = ((rows >= 0) & (rows < height))[:, None, :, None] & (
        (columns >= 0) & (columns < width)
    )[:, None, None, :]
    source = x.movedim(-4, 0).flatten(1, -3)
    sample = torch.arange(len(source), device=x.device)[:, None, None]
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    moved = source[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    moved = torch.where(inside, moved, blank)
    leading = (x.shape[0], x.shape[2]) if x.ndim == 5 else (x.shape[1],)
    unfolded: Tensor = moved.unflatten(1, leading)
    return unfolded.movedim(0, -4).contiguous()


def with_cutout(x: Tensor, rows: Tensor, columns: Tensor, size: int) -> Tensor:
    """A size x size square around (rows[b], columns[b]) set to 0, cut at the border."""
    height, width = x.shape[-2:]
    row_offset = torch.arange(height, device=x.device) - rows[:, None] + size // 2
    column_offset = torch.arange(width, device=x.device) - columns[:, None] + size // 2
    hit = ((row_offset >= 0) & (row_offset < size))[:, :, None] & (
        (column_offset >= 0) & (column_offset < size)
    )[:, None, :]
    return torch.where(hit[:, None], 0.0, x)
