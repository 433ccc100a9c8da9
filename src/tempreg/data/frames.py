"""Frames of events in the size and scale that were asked for.

Shapes: N recordings, T timesteps, 2 polarities (OFF, ON), H x W pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tempreg.data.events import Recordings, check_binning, events_to_frames
from tempreg.data.options import DataOptions

NORMALISATIONS = ("none", "max", "percentile")
RESIZES = ("area", "paper")
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
    frames = events_to_frames(recordings, options.num_steps, options.frames, options.frame_ms)
    if options.resize == "paper" and options.size is not None:
        return resized_as_published(frames, options.size)
    if options.size is not None and frames.shape[-2:] != (options.size, options.size):
        frames = resized(frames, options.size, options.size)
    return normalised(frames, options.normalise)


def check_frames(options: DataOptions) -> None:
    """ValueError for an unknown or contradictory option of frames."""
    if options.normalise not in NORMALISATIONS:
        raise ValueError(
            f"unknown normalisation {options.normalise!r}: choose one of "
            f"{', '.join(NORMALISATIONS)}"
        )
    if options.resize not in RESIZES:
        raise ValueError(f"unknown resize {options.resize!r}: choose area or paper")
    if options.resize == "paper" and (options.size is None or options.normalise != "none"):
        raise ValueError(
            "resize paper needs a size, and scales frames itself: set data.size, and leave "
            "data.normalise none"
        )
    check_binning(options.num_steps, options.frames, options.frame_ms)


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


def _overlaps(old: int, new: int) -> NDArray[np.float32]:
    """[new, old]: the share of old pixel j that lies in new pixel i; each column sums to 1."""
    edges = np.arange(new + 1) * (old / new)
    covered = np.clip(edges[:, None] - np.arange(old), 0, 1)
    shares: NDArray[np.float32] = np.diff(covered, axis=0).astype(np.float32)
    return shares


def normalised(frames: Tensor, how: str) -> Tensor:
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


def resized_as_published(frames: Tensor, size: int) -> Tensor:
    """CIFAR10-DVS as the scripts of TET (arXiv 2202.11946) and TRT (arXiv 2506.19256) resize it.

    Each timestep is divided by its own largest count, made an 8-bit image of two channels and
    resized bilinearly by Pillow, which takes two channels for brightness (ON) and opacity (OFF):
    where OFF is 0 an ON event is transparent and vanishes. Hence not the default; it is here to
    repeat published results (data_loaders.py and preprocess/dvscifar_dataloader.py in
    github.com/brain-intelligence-lab/temporal_efficient_training; they also cut by "count" into 10
    and test on the last files of each class). A timestep without events stays 0 (there: NaN).

    Returns:
        float32 [N, T, 2, size, size] in 0 ... 1.
    """
    result = torch.zeros(*frames.shape[:-2], size, size)
    for n, recording in enumerate(frames):
        for t, (off, on) in enumerate(recording.to(torch.float32)):
            largest = max(float(off.max()), float(on.max()))
            if largest == 0:
                continue
            pair = (torch.stack((on, off), dim=-1) / largest * 255).to(torch.uint8)
            image = Image.fromarray(pair.numpy())
            small = image.resize((size, size), Image.Resampling.BILINEAR)
            result[n, t] = torch.from_numpy(np.asarray(small).copy()).flip(-1).movedim(-1, 0) / 255
    return result
