"""Frames of events in the size and scale that were asked for.

Shapes: N recordings, T timesteps, 2 polarities (OFF, ON), H x W pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tempreg.data.frames.published import published_frames
from tempreg.data.frames.recordings import Recordings, events_to_frames
from tempreg.options import DataOptions

PERCENTILE = 99.0
"""Of a recording's counts above 0; what lies above becomes 1."""


def frames_of(recordings: Recordings, options: DataOptions) -> Tensor:
    """Frames as `options` ask: binned, then resized, then normalised.

    Returns:
        [N, T, 2, H, W]: int16 counts where size and normalisation are left alone, else float32.

    Raises:
        ValueError: see `check_frames` and `events_to_frames`.
    """
    check_frames(options)
    if options.frames == "published":
        return published_frames(recordings, options.num_steps, options.size)
    frames = events_to_frames(recordings, options.num_steps, options.frames, options.frame_ms)
    if options.size is not None and frames.shape[-2:] != (options.size, options.size):
        resize = resized if options.resize == "area" else resized_bilinearly
        frames = resize(frames, options.size, options.size)
    return divided(frames, options.normalise)


def check_frames(options: DataOptions) -> None:
    """ValueError for options that contradict each other, or are not for frames."""
    if options.frames == "published" and (options.resize, options.normalise) != ("area", "none"):
        raise ValueError(
            "frames published are resized and scaled in a way of their own: leave data.resize area "
            "and data.normalise none"
        )
    for name in ("shorter_side", "mean", "std"):
        if getattr(options, name) is not None:
            raise ValueError(f"data.{name} is for images, and this is event data: set it to null")


def resized(frames: Tensor, height: int, width: int) -> Tensor:
    """Each pixel's events spread over the new pixels that its area covers: sums stay.

    Args:
        frames: [..., H, W]; channels don't mix.

    Returns:
        float32 [..., height, width].
    """
    rows = torch.from_numpy(_overlaps(frames.shape[-2], height))
    columns = torch.from_numpy(_overlaps(frames.shape[-1], width))
    return rows @ frames.to(torch.float32) @ columns.T


def resized_bilinearly(frames: Tensor, height: int, width: int) -> Tensor:
    """Weighted means of the pixels around each new one, with antialiasing: sums don't stay.

    As torchvision's Resize does it of tensors, with its defaults.

    Args:
        frames: [N, T, C, H, W].

    Returns:
        float32 [N, T, C, height, width].
    """
    flat = frames.to(torch.float32).flatten(0, 1)
    small = F.interpolate(flat, (height, width), mode="bilinear", antialias=True)
    return small.reshape(*frames.shape[:3], height, width)


def _overlaps(old: int, new: int) -> NDArray[np.float32]:
    """[new, old]: the share of old pixel j that lies in new pixel i; each column sums to 1."""
    edges = np.arange(new + 1) * (old / new)
    covered = np.clip(edges[:, None] - np.arange(old), 0, 1)
    shares: NDArray[np.float32] = np.diff(covered, axis=0).astype(np.float32)
    return shares


def divided(frames: Tensor, how: str) -> Tensor:
    """Each recording divided by one number of its own; one without events stays 0.

    Args:
        frames: [N, T, 2, H, W] counts.
        how: "none"; "max", the largest count; or "percentile", the 99th percentile of the counts
            above 0, with larger ones cut to 1.
    """
    if how == "none":
        return frames
    frames = frames.to(torch.float32)
    for recording in frames:
        counts = recording[recording > 0].numpy()
        if counts.size:
            recording /= float(counts.max() if how == "max" else np.percentile(counts, PERCENTILE))
    return frames.clamp(max=1)
