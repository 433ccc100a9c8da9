"""One file for a person to look at: a few lines of text, and frames side by side as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tempreg.data.errors import DataError
from tempreg.data.formats.images import IMAGE_SUFFIXES, decoded, header
from tempreg.data.formats.recordings import READERS, common_size, joined, read_recording
from tempreg.data.frames.extent import seconds
from tempreg.data.frames.recordings import events_to_frames
from tempreg.files import replacing

_HIGH, _GAP = 160, 2
"""Pixels that a frame is at least high in the picture, and that lie between two."""
_BRIGHTEST = 99.0
"""Percentile of the counts above 0 that has the full colour."""


def described_file(path: Path) -> list[str]:
    """What a recording or an image is, a line each; DataError where it can't be read."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        (height, width), grey = header(path)
        pixels = decoded(path, 1 if grey else 3)
        return [
            f"{path}: an image of {width} x {height} pixels, {'grey' if grey else 'in colour'}",
            f"values {pixels.min()} to {pixels.max()}, mean {pixels.mean():.1f}",
        ]
    if path.suffix.lower() not in READERS:
        raise DataError(
            f"{path} is neither a recording ({', '.join(READERS)}) nor an image that is known"
        )
    recording = read_recording(path)
    count = len(recording.t)
    if not count:
        return [f"{path}: a recording without any event"]
    height, width = int(recording.y.max()) + 1, int(recording.x.max()) + 1
    sensor = recording.sensor_size
    of = "" if sensor is None else f" of a sensor of {sensor[1]} x {sensor[0]}"
    lasts = int(recording.t[-1] - recording.t[0]) + 1
    on = int(recording.p.sum())
    return [
        f"{path}: a recording of {seconds(lasts)}, from {int(recording.t[0]):,} microseconds on",
        f"{count:,} events, {count / lasts * 1e6:,.0f} a second; {on:,} ON, {count - on:,} OFF",
        f"on {width} x {height} pixels{of}",
    ]


def strip(path: Path, num_steps: int) -> NDArray[np.uint8]:
    """A recording's frames of equal time side by side, [H, W, 3]: ON red, OFF blue, none white.

    An image is itself, in colour.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return decoded(path, 3)
    recording = read_recording(path)
    size = common_size([recording.known_size])
    frames = events_to_frames(joined([recording], [path], size), num_steps)[0].numpy()
    some = frames[frames > 0]
    full = float(np.percentile(some, _BRIGHTEST)) if len(some) else 1.0
    shade = np.minimum(frames / full, 1.0)  # [T, 2, H, W]
    off, on = shade[:, 0], shade[:, 1]
    colours = np.stack([1 - off, 1 - np.maximum(off, on), 1 - on], axis=-1)
    times = max(1, -(-_HIGH // size[0]))
    large = (255 * colours).round().astype(np.uint8).repeat(times, axis=1).repeat(times, axis=2)
    grey = np.full((large.shape[1], _GAP, 3), 128, np.uint8)
    return np.concatenate([part for frame in large for part in (frame, grey)][:-1], axis=1)


def write_strip(path: Path, num_steps: int, out: Path) -> None:
    """Replace the PNG `out` by `strip`; DataError for another suffix."""
    if out.suffix.lower() != ".png":
        raise DataError(f"--out {out}: the picture is a PNG: give the name that ending")
    picture = Image.fromarray(strip(path, num_steps))
    with replacing(out) as temporary:
        picture.save(temporary, format="PNG")
