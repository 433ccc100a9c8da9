"""Moving what a batch shows: shift, flip, rotation, shear; and blanking a square.

Shapes: x [B, C, H, W] or [T, B, C, H, W]; each sample is changed alike at all timesteps, and
what enters at a border is blank: nothing wraps around but by `rolled`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def mirrored(x: Tensor, chosen: Tensor) -> Tensor:
    """The samples that are chosen (bool [B]), left to right."""
    return torch.where(chosen[:, None, None, None], x.flip(-1), x)


def turned(x: Tensor, degrees: Tensor, shear: Tensor, blank: float | Tensor = 0.0) -> Tensor:
    """Sample b turned about its centre by degrees[b], sheared along x by shear[b] degrees.

    Each pixel takes the value of the nearest one, so that event counts stay whole numbers; an
    angle of 0 leaves a sample as it is. float32 [B] both, shear in (-90, 90).
    """
    height, width = x.shape[-2:]
    angle, slope = degrees.deg2rad(), shear.deg2rad().tan()
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # Output to input, in pixels: the inverse shear after the inverse rotation; grid_sample
    # counts both axes from -1 to 1, hence the aspect.
    aspect = height / width
    rows = torch.stack(
        [
            torch.stack([cos + slope * sin, (sin - slope * cos) * aspect, zero], dim=1),
            torch.stack([-sin / aspect, cos, zero], dim=1),
        ],
        dim=1,
    )
    source = x.movedim(-4, 0).flatten(1, -3)
    grid = F.affine_grid(rows.to(x.dtype), list(source.shape), align_corners=False)
    moved = F.grid_sample(source - blank, grid, mode="nearest", align_corners=False) + blank
    still = ((degrees == 0) & (shear == 0))[:, None, None, None]
    return _unfolded(torch.where(still, source, moved), x)


def shifted(x: Tensor, down: Tensor, right: Tensor, blank: float | Tensor = 0.0) -> Tensor:
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
    return _unfolded(moved, x)


def rolled(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Sample b moved by down[b] rows and right[b] columns (int64 [B]); what leaves enters opposite.

    As torch.roll does it, which moves all samples alike.
    """
    height, width = x.shape[-2:]
    rows = (torch.arange(height, device=x.device) - down[:, None]) % height
    columns = (torch.arange(width, device=x.device) - right[:, None]) % width
    source = x.movedim(-4, 0).flatten(1, -3)
    sample = torch.arange(len(source), device=x.device)[:, None, None]
    moved = source[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return _unfolded(moved, x)


def with_cutout(
    x: Tensor, rows: Tensor, columns: Tensor, size: int, fill: float | Tensor = 0.0
) -> Tensor:
    """A size x size square around (rows[b], columns[b]) set to `fill`, cut at the border."""
    height, width = x.shape[-2:]
    row_offset = torch.arange(height, device=x.device) - rows[:, None] + size // 2
    column_offset = torch.arange(width, device=x.device) - columns[:, None] + size // 2
    hit = ((row_offset >= 0) & (row_offset < size))[:, :, None] & (
        (column_offset >= 0) & (column_offset < size)
    )[:, None, :]
    return torch.where(hit[:, None], fill, x)


def _unfolded(source: Tensor, like: Tensor) -> Tensor:
    """[B, T * C, H, W] in the layout of `like`."""
    leading = (like.shape[0], like.shape[2]) if like.ndim == 5 else (like.shape[1],)
    unfolded: Tensor = source.unflatten(1, leading)
    return unfolded.movedim(0, -4).contiguous()
