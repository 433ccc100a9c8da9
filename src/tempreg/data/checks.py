"""Everything of a data set read once: how much there is of each class, and every fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tempreg.data.base import SPLITS, DataSet, Split
from tempreg.data.errors import DataError

if TYPE_CHECKING:
    from tempreg.data.formats.recordings import Recording

_BATCH = 64


@final
@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes:
        classes: their names, in the order of their indices.
        counts: samples of each class by split, damaged ones left out: int64 [classes].
        size: what one sample is, in words.
        faults: one sentence for each damaged file.
        blank: images that are one colour all over; that may be right.
        remarks: what was taken to be what, a sentence each.
    """

    classes: tuple[str, ...]
    counts: dict[str, NDArray[np.int64]]
    size: str
    faults: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def check_splits(data: DataSet) -> Check:
    """All samples of a data set, in batches; one by one where a batch can't be read."""
    counts, faults = {}, []
    for name in SPLITS:
        split = data.split(name)
        bad: list[int] = []
        for indices in torch.arange(len(split)).split(_BATCH):
            for index, fault in _faults(split, indices) if len(indices) else ():
                bad.append(index)
                faults.append(fault)
        good = torch.ones(len(split), dtype=torch.bool)
        good[bad] = False
        counts[name] = np.bincount(split.targets[good].numpy(), minlength=len(data.classes))
    height, width = data.input_size
    size = f"{data.in_channels} x {height} x {width} (channels, height, width)"
    return Check(data.classes, counts, size, tuple(dict.fromkeys(faults)), remarks=data.remarks)


def _faults(split: Split, indices: Tensor) -> list[tuple[int, str]]:
    try:
        split.inputs(indices)
    except DataError as error:
        if len(indices) == 1:
            return [(int(indices), str(error))]
        return [fault for index in indices.split(1) for fault in _faults(split, index)]
    return []


def check_images(
    classes: tuple[str, ...],
    samples: dict[str, list[tuple[Path, int]]],
    remarks: tuple[str, ...],
) -> Check:
    """All images of a set of files, each decoded, whatever its size.

    Args:
        classes: names.
        samples: by split the files and their class indices.
        remarks: see `Check`.
    """
    from tempreg.data.formats.images import decoded, header

    counts, faults, blank = {}, [], []
    heights, widths, all_grey = set(), set(), True
    for name in SPLITS:
        counts[name] = np.zeros(len(classes), dtype=np.int64)
        for path, target in samples[name]:
            try:
                _, grey = header(path)
                pixels = decoded(path, 1 if grey else 3)
            except DataError as error:
                faults.append(str(error))
                continue
            counts[name][target] += 1
            all_grey = all_grey and grey
            heights.add(pixels.shape[0])
            widths.add(pixels.shape[1])
            if pixels.shape[:2] != (1, 1) and (pixels == pixels[0, 0]).all():
                blank.append(str(path))
    size = f"{1 if all_grey else 3} x {_range(heights)} x {_range(widths)}"
    size += " (channels, height, width)"
    return Check(classes, counts, size, tuple(dict.fromkeys(faults)), tuple(blank), remarks)


def _range(values: set[int]) -> str:
    if len(values) < 2:
        return str(next(iter(values), 0))
    return f"{min(values)} ... {max(values)}"


def without_events(path: Path, span: tuple[int, int] | None = None) -> str:
    """The sentence on a recording, or the part of one, in which nothing happens."""
    if span is not None:
        return (
            f"{path} holds no event from {span[0]} to before {span[1]} microseconds: there is "
            "nothing to learn from that, so take its row out of the table of labels"
        )
    return f"{path} holds no event: there is nothing to learn from it, so leave it out"


def check_recordings(
    classes: tuple[str, ...],
    samples: Sequence[tuple[Path, int, tuple[int, int] | None]],
    rows: Sequence[NDArray[np.int64]],
    sensor_size: tuple[int, int] | None,
    remarks: tuple[str, ...] = (),
) -> Check:
    """All recordings of a set, each file read once.

    Args:
        classes: names.
        samples: file, class index, and first and last + 1 microsecond where only these belong to
            the sample, samples of one file in a row.
        rows: the samples of each of SPLITS.
        sensor_size: (H, W) that no event may lie outside of; None: any.
        remarks: see `Check`.
    """
    good = np.zeros(len(samples), bool)
    faults: list[str] = []
    height = width = events = 0
    seen = examined([(path, span) for path, _, span in samples], sensor_size)
    for row, (whole, sample, fault) in enumerate(seen):
        if whole is not None:
            height = max(height, int(whole.y.max(initial=-1)) + 1)
            width = max(width, int(whole.x.max(initial=-1)) + 1)
        if sample is None:
            faults.append(fault)
            continue
        events += len(sample.t)
        good[row] = True
    faults = list(dict.fromkeys(faults))
    targets = np.array([target for _, target, _ in samples])
    counts = {
        name: np.bincount(targets[part[good[part]]], minlength=len(classes))
        for name, part in zip(SPLITS, rows, strict=True)
    }
    sensor = "" if sensor_size is None else f" of {sensor_size[0]} x {sensor_size[1]}"
    size = f"{events:,} events on {height} x {width} pixels{sensor} (height, width)"
    return Check(classes, counts, size, tuple(faults), remarks=remarks)


def examined(
    samples: Sequence[tuple[Path, tuple[int, int] | None]], sensor_size: tuple[int, int] | None
) -> Iterator[tuple[Recording | None, Recording | None, str]]:
    """Each file's recording and the sample's part of it, None and why where it can't be used.

    Args: see `check_recordings`.
    """
    from tempreg.data.formats.recordings import read_recording
    from tempreg.data.formats.recordings.recording import refuse

    last, recording, fault = None, None, ""
    for path, span in samples:
        if path != last:
            last, recording, fault = path, None, ""
            try:
                whole = read_recording(path)
                for axis, limit in zip("yx", sensor_size or (), strict=False):
                    place = getattr(whole, axis)
                    refuse(path, place >= limit, axis, place, f"outside 0 ... {limit - 1}")
                recording = whole
            except DataError as error:
                fault = str(error)
        if recording is None:
            yield None, None, fault
            continue
        part = recording if span is None else recording.between(*span)
        there = len(part.t) > 0
        yield recording, part if there else None, "" if there else without_events(path, span)


def image_fault(path: Path) -> str | None:
    """Why an image can't be used; None where it can."""
    from tempreg.data.formats.images import decoded

    try:
        decoded(path, 3)
    except DataError as error:
        return str(error)
    return None


def told_skipped(faults: Sequence[str]) -> list[str]:
    """A remark on what was left out because it is damaged."""
    if not faults:
        return []
    some = "; ".join(faults[:3]) + ("; ..." if len(faults) > 3 else "")
    return [f"skipped, for they can't be used: {len(faults)} ({some})"]
