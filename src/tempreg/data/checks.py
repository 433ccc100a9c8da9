"""Everything of a data set read once: how much there is of each class, and every fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tempreg.data.base import SPLITS, DataSet, Split
from tempreg.data.source import DataError

_BATCH = 64


@dataclass(frozen=True)
class Check:
    """What was found. Final.

    Attributes:
        classes: their names, in the order of their indices.
        counts: samples of each class by split, damaged ones left out: int64 [classes].
        size: what one sample is, in words.
        faults: one sentence for each damaged file.
    """

    classes: tuple[str, ...]
    counts: dict[str, NDArray[np.int64]]
    size: str
    faults: tuple[str, ...] = ()


def check_splits(data: DataSet) -> Check:
    """All samples of a data set, in batches; one by one where a batch can't be read."""
    counts, faults = {}, []
    for name in SPLITS:
        split = data.split(name)
        bad: list[int] = []
        for indices in torch.arange(len(split)).split(_BATCH):
            for index, fault in _faults(split, indices):
                bad.append(index)
                faults.append(fault)
        good = torch.ones(len(split), dtype=torch.bool)
        good[bad] = False
        counts[name] = np.bincount(split.targets[good].numpy(), minlength=len(data.classes))
    height, width = data.input_size
    size = f"{data.in_channels} x {height} x {width} (channels, height, width)"
    return Check(data.classes, counts, size, tuple(dict.fromkeys(faults)))


def _faults(split: Split, indices: Tensor) -> list[tuple[int, str]]:
    try:
        split.inputs(indices)
    except DataError as error:
        if len(indices) == 1:
            return [(int(indices), str(error))]
        return [fault for index in indices.split(1) for fault in _faults(split, index)]
    return []


def check_recordings(
    classes: tuple[str, ...],
    samples: Sequence[tuple[Path, int, tuple[int, int] | None]],
    rows: Sequence[NDArray[np.int64]],
    sensor_size: tuple[int, int] | None,
) -> Check:
    """All recordings of a set, each file read once.

    Args:
        classes: names.
        samples: file, class index, and first and last + 1 microsecond where only these belong to
            the sample, samples of one file in a row.
        rows: the samples of each of SPLITS.
        sensor_size: (H, W) that no event may lie outside of; None: any.
    """
    from tempreg.data.event_files import read_recording
    from tempreg.data.event_files.recording import refuse

    good = np.zeros(len(samples), bool)
    faults: list[str] = []
    last, recording, height, width, events = None, None, 0, 0, 0
    for row, (path, _, span) in enumerate(samples):
        if path != last:
            last, recording = path, None
            try:
                recording = read_recording(path)
                seen = [int(v.max(initial=-1)) + 1 for v in (recording.y, recording.x)]
                for axis, limit in zip("yx", sensor_size or (), strict=False):
                    place = getattr(recording, axis)
                    refuse(path, place >= limit, axis, place, f"outside 0 ... {limit - 1}")
            except DataError as error:
                faults.append(str(error))
                recording = None
            else:
                height, width = max(height, seen[0]), max(width, seen[1])
        if recording is None:
            continue
        sample = recording if span is None else recording.between(*span)
        events += len(sample.t)
        good[row] = True
    targets = np.array([target for _, target, _ in samples])
    counts = {
        name: np.bincount(targets[part[good[part]]], minlength=len(classes))
        for name, part in zip(SPLITS, rows, strict=True)
    }
    sensor = "" if sensor_size is None else f" of {sensor_size[0]} x {sensor_size[1]}"
    size = f"{events:,} events on {height} x {width} pixels{sensor} (height, width)"
    return Check(classes, counts, size, tuple(faults))
