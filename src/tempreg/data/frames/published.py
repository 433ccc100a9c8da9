"""CIFAR10-DVS frames as the scripts of published work make them, held to their own output.

The scripts are those of the TRT paper (arXiv 2506.19256), which have the preprocessing of TET
(arXiv 2202.11946). A recording's N events become T frames of N // T events; the remainder is
dropped. A cell is set once, however many events it has, for `frames[i, p, x, y] += 1` with arrays
of indices adds once. The polarity +1 or -1 is taken as an index, so that both mean the last
channel: channel 1 has the events of both polarities, and channel 0 is empty. Rows are the sensor's
columns from the left, columns its rows from below. Dividing by the largest value does nothing to
zeros and ones. Resizing takes both channels for an 8-bit image of brightness and opacity.

So these frames carry no polarity. Of frames that other work made otherwise this says nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tempreg.data.frames.recordings import Recordings, events_to_frames


def published_frames(recordings: Recordings, num_steps: int, size: int | None) -> Tensor:
    """Frames of zeros and ones, or resized by Pillow to size x size.

    Args:
        recordings: N of them, of a square sensor.
        num_steps: T >= 1; of fewer events all frames are empty.
        size: None: as recorded.

    Returns:
        [N, T, 2, W, H], int16 in {0, 1}, or float32 in {0, 1/255, ..., 1} where resized.

    Raises:
        ValueError: a sensor that isn't square: rows and columns change places.
    """
    height, width = recordings.sensor_size
    if height != width:
        raise ValueError(
            f"data.frames published is for the square sensor of CIFAR10-DVS, and this one has "
            f"{width} x {height} pixels: take frames number or count"
        )
    counts = events_to_frames(recordings, num_steps, "published")
    seen = counts.sum(dim=2).clamp(max=1).flip(-2).transpose(-1, -2).to(torch.int16)
    frames = torch.stack((torch.zeros_like(seen), seen), dim=2)
    if size is None or size == height:
        return frames
    return _resized(frames, size)


def _resized(frames: Tensor, size: int) -> Tensor:
    """Each frame by way of an 8-bit Pillow image of two channels, bilinear with antialiasing."""
    result = torch.empty(*frames.shape[:-2], size, size)
    pixels = (frames * 255).to(torch.uint8).movedim(2, -1).contiguous().numpy()
    for n, recording in enumerate(pixels):
        for t, frame in enumerate(recording):
            small = Image.fromarray(frame).resize((size, size), Image.Resampling.BILINEAR)
            result[n, t] = torch.from_numpy(np.array(small)).movedim(-1, 0) / 255
    return result
