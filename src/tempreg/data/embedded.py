"""The data that ships with the package: real, small, with licences in data/assets."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tempreg.data.base import SPLITS, ArraySplit, DataSet
from tempreg.data.events import Recordings, events_to_frames

FASHION_CLASSES = (
    "t-shirt/top", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
FASHION_MEAN, FASHION_STD = 0.2860, 0.3530
"""Of the 60,000 training images, grey values in 0 ... 1."""


def nmnist_recordings() -> tuple[Recordings, NDArray[np.uint8], NDArray[np.uint8]]:
    """All 1,100 N-MNIST recordings, their digits, and their part (an index into SPLITS)."""
    data = _asset("nmnist.npz")
    offsets = data["offsets"].astype(np.int64)
    steps = data["step_low"].astype(np.int64) + 256 * data["step_high"].astype(np.int64)
    elapsed = np.cumsum(steps)
    before = np.concatenate([[0], elapsed[offsets[1:-1] - 1]])
    recordings = Recordings(
        t=elapsed - np.repeat(before, np.diff(offsets)),
        x=data["x_polarity"] >> 1,
        y=data["y"],
        p=data["x_polarity"] & 1,
        offsets=offsets,
        sensor_size=(34, 34),
    )
    return recordings, data["labels"], data["part"]


def load_nmnist(*, num_steps: int, frames: str) -> DataSet:
    """700 / 100 / 300 recordings as event counts [T, B, 2, 34, 34]; see `events_to_frames`."""
    recordings, labels, part = nmnist_recordings()
    values = events_to_frames(recordings, num_steps, frames)
    rows = [torch.from_numpy(np.flatnonzero(part == code)) for code in range(len(SPLITS))]
    targets = torch.from_numpy(labels)
    train, validation, test = (ArraySplit(values[r], targets[r]) for r in rows)
    return DataSet("nmnist", train, validation, test, tuple("0123456789"), 2, (34, 34))


def load_fashion_mnist(*, num_steps: int, frames: str) -> DataSet:
    """5,000 / 1,000 / 2,000 images [B, 1, 28, 28], standardised; the arguments don't matter."""
    data = _asset("fashion_mnist.npz")
    train, validation, test = (
        ArraySplit(
            torch.from_numpy(data[f"{name}_images"])[:, None],
            torch.from_numpy(data[f"{name}_labels"]),
            scale=1 / (255 * FASHION_STD),
            offset=-FASHION_MEAN / FASHION_STD,
        )
        for name in SPLITS
    )
    return DataSet("fashion-mnist", train, validation, test, FASHION_CLASSES, 1, (28, 28))


def _asset(name: str) -> dict[str, NDArray[Any]]:
    with (
        as_file(files("tempreg.data") / "assets" / name) as path,
        np.load(path, allow_pickle=False) as arrays,
    ):
        return {key: arrays[key] for key in arrays.files}
