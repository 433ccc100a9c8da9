"""Tasks that need time, made from the embedded recordings and images: always the same ones.

nmnist-gap, fashion-gap    an item, then another that distracts, then nothing: the first is asked
fashion-motion             an image that moves or turns: the direction is asked
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from tempreg.data.augment.geometry import turned
from tempreg.data.base import SPLITS, ArraySplit, DataSet
from tempreg.data.frames.frames import frames_of
from tempreg.data.sources.embedded import Digits, Embedded, Garments, Labels, nmnist_recordings
from tempreg.options import DataOptions

SHOWN, SILENT = 2, 2
"""Timesteps of the item that is asked for, and of nothing at the end."""
KEPT = 0.25
"""Probability that an event, or a pixel, of the item that distracts is there at a timestep."""
DIRECTIONS = ("left", "right", "up", "down", "clockwise", "anticlockwise")
PIXELS, DEGREES = 2, 15.0
"""How far an image moves or turns in a timestep."""
_SEED = 2506_19256


class GapTask(Embedded):
    """Two timesteps of an item, `gap` of another one's thinned events, and two of nothing.

    The label is that of the first. The other item is any other one of the same split, whatever its
    label, so that it says nothing of the answer; its frames alternate, and each event (of an image:
    each pixel) is there with probability 1/4 at each timestep. T is 4 + gap. Subclass it.
    """

    without: ClassVar[tuple[str, ...]] = ("skip_damaged",)

    @override
    def check_options(self, options: DataOptions) -> None:
        super().check_options(options)
        wanted = SHOWN + options.gap + SILENT
        if options.num_steps != wanted:
            raise ValueError(
                f"{self.name} with data.gap {options.gap} has {wanted} timesteps: set num_steps to "
                f"{wanted}, got {options.num_steps}"
            )


@final
class NMNISTGap(GapTask, Digits):
    """N-MNIST's recordings, each in two frames: [T, B, 2, 34, 34]."""

    name: ClassVar[str] = "nmnist-gap"
    title: ClassVar[str] = "N-MNIST with a distractor after the digit"

    @override
    def load(self, options: DataOptions) -> DataSet:
        self.check_options(options)
        recordings, labels, part = nmnist_recordings()
        frames = frames_of(recordings, replace(options, num_steps=SHOWN)).numpy()
        splits = []
        for code in range(len(SPLITS)):
            rows = np.flatnonzero(part == code)
            values = with_distractor(frames[rows], options.gap, code)
            splits.append(ArraySplit(values, torch.from_numpy(labels[rows])))
        size = (frames.shape[-2], frames.shape[-1])
        train, validation, test = splits
        return DataSet(self.name, train, validation, test, self.classes, 2, size)


@final
class FashionGap(GapTask, Garments):
    """Fashion-MNIST's images: [T, B, 1, 28, 28], standardised."""

    name: ClassVar[str] = "fashion-gap"
    title: ClassVar[str] = "Fashion-MNIST with a distractor after the garment"

    @override
    def shown(
        self, images: NDArray[np.uint8], labels: Labels, code: int, options: DataOptions
    ) -> tuple[Tensor, Labels]:
        frames = np.repeat(images[:, None, None], SHOWN, axis=1)
        return with_distractor(frames, options.gap, code), labels


@final
class FashionMotion(Garments):
    """Fashion-MNIST's images in motion, [T, B, 1, 28, 28], standardised; six directions.

    An image moves by 2 pixels or turns by 15 degrees a timestep, from a place and an angle that are
    drawn evenly; it leaves at one side and enters at the other. So at no timestep does what is seen
    say anything of the direction: it takes two.
    """

    name: ClassVar[str] = "fashion-motion"
    title: ClassVar[str] = "Fashion-MNIST in motion"
    classes: ClassVar[tuple[str, ...]] = DIRECTIONS

    @override
    def check_options(self, options: DataOptions) -> None:
        super().check_options(options)
        if options.num_steps < 2:
            raise ValueError(
                f"{self.name} needs num_steps of 2 or more, for motion takes time, got "
                f"{options.num_steps}"
            )

    @override
    def shown(
        self, images: NDArray[np.uint8], labels: Labels, code: int, options: DataOptions
    ) -> tuple[Tensor, Labels]:
        chance = np.random.default_rng([_SEED, code])
        directions = chance.permutation(len(images)) % len(DIRECTIONS)
        return in_motion(images, directions, options.num_steps, chance), directions


def with_distractor(frames: NDArray[np.generic], gap: int, code: int) -> Tensor:
    """Items, then `gap` timesteps of others, thinned, then nothing.

    Args:
        frames: [N, 2, C, H, W], whole numbers >= 0; N >= 2.
        gap: >= 0.
        code: of the split; what is drawn depends on it alone.

    Returns:
        [N, 2 + gap + 2, C, H, W] in the same dtype.
    """
    chance = np.random.default_rng([_SEED, code])
    count = len(frames)
    others = (np.arange(count) + chance.integers(1, count, size=count)) % count
    steps = [frames[:, step] for step in range(SHOWN)]
    for step in range(gap):
        shown = frames[others, step % SHOWN]
        counted = frames.dtype != np.uint8  # of images, a pixel is there or not, whatever its value
        if counted:
            thinned = chance.binomial(shown.astype(np.int64), KEPT)
        else:
            thinned = shown * (chance.random(shown.shape, dtype=np.float32) < KEPT)
        steps.append(thinned.astype(frames.dtype))
    steps += [np.zeros_like(frames[:, 0])] * SILENT
    return torch.from_numpy(np.stack(steps, axis=1))


def in_motion(
    images: NDArray[np.uint8],
    directions: NDArray[np.int64],
    num_steps: int,
    chance: np.random.Generator,
) -> Tensor:
    """Images that move or turn, from places and angles that are drawn evenly.

    Args:
        images: [N, H, W].
        directions: [N], indices into `DIRECTIONS`.
        num_steps: T >= 1.

    Returns:
        uint8 [N, T, 1, H, W].
    """
    count, height, width = images.shape
    down, right = chance.integers(0, height, count), chance.integers(0, width, count)
    angle = chance.uniform(0, 360, count)
    turn = np.select([directions == 4, directions == 5], [DEGREES, -DEGREES], 0.0)
    move_right = np.select([directions == 0, directions == 1], [-PIXELS, PIXELS], 0)
    move_down = np.select([directions == 2, directions == 3], [-PIXELS, PIXELS], 0)
    source = torch.from_numpy(images)[:, None].float()
    sample = np.arange(count)[:, None, None]
    steps = []
    for t in range(num_steps):
        degrees = torch.from_numpy(angle + turn * t).float()
        view = turned(source, degrees, torch.zeros(count))[:, 0].numpy()
        rows = (np.arange(height) - (down + move_down * t)[:, None]) % height
        columns = (np.arange(width) - (right + move_right * t)[:, None]) % width
        steps.append(view[sample, rows[:, :, None], columns[:, None, :]])
    return torch.from_numpy(np.stack(steps, axis=1)[:, :, None].astype(np.uint8))


TIMED_SOURCES = (NMNISTGap(), FashionGap(), FashionMotion())
