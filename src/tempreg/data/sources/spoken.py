"""Spoken words as spikes of 700 cochlea channels: SHD and SSC (Cramer et al. 2020)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray

from tempreg.data.base import ArraySplit, DataSet, Split
from tempreg.data.errors import DataError
from tempreg.data.formats.spoken import UNITS, Spoken, read_spoken, spoken_recordings
from tempreg.data.frames.cache import Chunk, FrameSplit, cache_folder, cached
from tempreg.data.frames.content_key import content_key
from tempreg.data.frames.extent import Extent
from tempreg.data.frames.frames import check_frames, frames_of
from tempreg.data.frames.recordings import frame_bounds
from tempreg.data.source import Source
from tempreg.data.splits.parts import draw
from tempreg.options import DataOptions

READER_VERSION = 1
"""Part of the cache's key: raise it whenever the same file and settings give other frames."""


class SpokenSource(Source):
    """HDF5 files of utterances as published. Subclass it and name the files by part.

    Frames are [T, B, 1, 1, 700], or with data.size of so many channels, of neighbours each, counted
    from an utterance's first spike. Where no validation file is official, whole speakers are held
    out; data.sessions none draws utterances.
    """

    kind: ClassVar[Literal["images", "events"]] = "events"
    licence: ClassVar[str] = "CC BY 4.0"
    homepage: ClassVar[str] = "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/"
    files: ClassVar[dict[str, str]]
    without: ClassVar[tuple[str, ...]] = ("gap", "skip_damaged", "resize")

    def missing(self, folder: Path) -> list[str]:
        """Files that aren't there."""
        return [
            f"{folder / name} is not there"
            for name in self.files.values()
            if not (folder / name).is_file()
        ]

    def load(self, options: DataOptions) -> DataSet:
        """See `Source`; frames as in `frames_of`, with options.cache kept on disk."""
        channels = _channels(options)
        folder = self.complete_folder(options)
        held = {part: read_spoken(folder / name) for part, name in self.files.items()}
        classes = _classes(held)
        frames = {
            part: _frames(self.name, folder, file, channels, options) for part, file in held.items()
        }
        train = held["train"]
        rows = _rows(train, options, classes) if "validation" not in held else None
        splits = {}
        for part, file in held.items():
            everything = np.arange(len(file.labels))
            mine = everything if rows is None or part != "train" else rows["train"]
            splits[part] = frames[part](mine)
        if rows is not None:
            splits["validation"] = frames["train"](rows["validation"])
        remarks: tuple[str, ...] = ()
        if rows is not None and len(rows["validation"]) and options.sessions != "none":
            who = sorted(set(train.speakers[rows["validation"]].tolist()))
            remarks = (f"validation: all of the speakers {', '.join(map(str, who))}",)
        return DataSet(
            self.name,
            splits["train"],
            splits["validation"],
            splits["test"],
            classes,
            1,
            (1, channels),
            remarks=remarks,
            sessions=torch.from_numpy(_speakers(held, rows)),
        )


@final
class SHD(SpokenSource):
    """8,156 utterances of digits in English and German to train on, 2,264 to test."""

    name: ClassVar[str] = "shd"
    title: ClassVar[str] = "Spiking Heidelberg Digits"
    instructions: ClassVar[str] = "Unpack shd_train.h5.zip and shd_test.h5.zip there"
    files: ClassVar[dict[str, str]] = {"train": "shd_train.h5", "test": "shd_test.h5"}


@final
class SSC(SpokenSource):
    """Google's speech commands: 75,466 utterances to train on, 9,981 and 20,382 beside."""

    name: ClassVar[str] = "ssc"
    title: ClassVar[str] = "Spiking Speech Commands"
    instructions: ClassVar[str] = (
        "Unpack ssc_train.h5.zip, ssc_valid.h5.zip and ssc_test.h5.zip there"
    )
    files: ClassVar[dict[str, str]] = {
        "train": "ssc_train.h5",
        "validation": "ssc_valid.h5",
        "test": "ssc_test.h5",
    }


SPOKEN_SOURCES: tuple[Source, ...] = (SHD(), SSC())


def _channels(options: DataOptions) -> int:
    """How many the frames have; ValueError where the options are for pictures."""
    check_frames(options)
    if options.frames == "published":
        raise ValueError("data.frames published is for event cameras: take time or duration")
    channels = UNITS if options.size is None else options.size
    if UNITS % channels:
        raise ValueError(
            f"data.size is how many channels the {UNITS} of a cochlea become, and must divide "
            f"them, as 70 or 140, got {channels}"
        )
    return channels


def _classes(held: dict[str, Spoken]) -> tuple[str, ...]:
    most = max(int(file.labels.max()) for file in held.values()) + 1
    keys = held["train"].keys
    for file in held.values():
        if file.keys and keys and file.keys != keys:
            raise DataError(f"{file.path} has other extra/keys than {held['train'].path}")
    if keys and len(keys) < most:
        raise DataError(f"{held['train'].path} has {len(keys)} extra/keys for {most} classes")
    if not keys and most > (count := sum(len(file.labels) for file in held.values())):
        raise DataError(
            f"{held['train'].path.parent}: there is the label {most - 1}, and {count} utterances: "
            "number the classes from 0"
        )
    return keys or tuple(map(str, range(most)))


def _rows(
    file: Spoken, options: DataOptions, classes: tuple[str, ...]
) -> dict[str, NDArray[np.int64]]:
    """Utterances to train on and to validate with: whole speakers, about data.validation of all."""
    wanted, speakers = options.validation, np.unique(file.speakers)
    if not wanted:
        nothing = np.zeros(0, dtype=np.int64)
        return {"train": np.arange(len(file.labels)), "validation": nothing}
    if options.sessions == "none" or speakers.tolist() == [-1]:
        part = draw(file.labels, {"validation": wanted}, options.split_seed, classes).part
        chosen = part == "validation"
    else:
        if len(speakers) < 2:
            raise DataError(
                f"{file.path} has one speaker, so none can be held out to validate with: set "
                "data.sessions none, or data.validation 0"
            )
        order = np.random.default_rng(options.split_seed).permutation(speakers)
        counts = np.array([(file.speakers == who).sum() for who in order])
        # As many as come nearest to the share, and never all.
        gaps = np.abs(counts.cumsum()[:-1] - wanted * len(file.labels))
        chosen = np.isin(file.speakers, order[: int(gaps.argmin()) + 1])
    return {"train": np.flatnonzero(~chosen), "validation": np.flatnonzero(chosen)}


def _speakers(
    held: dict[str, Spoken], rows: dict[str, NDArray[np.int64]] | None
) -> NDArray[np.int64]:
    """By sample, in the order of the splits; those who aren't known are each on their own."""
    train = held["train"].speakers
    parts = [train if rows is None else train[rows["train"]]]
    parts.append(held["validation"].speakers if rows is None else train[rows["validation"]])
    joined = np.concatenate([*parts, held["test"].speakers])
    alone = joined < 0
    joined[alone] = joined.max(initial=0) + 1 + np.arange(int(alone.sum()))
    return joined


def _frames(
    name: str, folder: Path, file: Spoken, channels: int, options: DataOptions
) -> Callable[[NDArray[np.int64]], Split]:
    """What makes a split of rows of a file."""
    labels = torch.from_numpy(file.labels)
    build = partial(_built, file.path, channels, options)
    if not options.cache:
        values = torch.cat([chunk.frames for chunk in build()[1]])
        return lambda rows: ArraySplit(
            values[torch.from_numpy(rows)], labels[torch.from_numpy(rows)]
        )
    content = content_key([file.path], folder, cache_folder())
    asked = (options.num_steps, options.frames, options.frame_ms, options.normalise, channels)
    key = hashlib.blake2b(repr((READER_VERSION, content, asked)).encode()).hexdigest()[:32]
    kept = cached(cache_folder() / f"{name}-{key}.frames", len(labels), build)
    return lambda rows: FrameSplit(kept, rows, labels[torch.from_numpy(rows)])


def _built(
    path: Path, channels: int, options: DataOptions
) -> tuple[tuple[int, int], Iterator[Chunk]]:
    return (1, channels), _chunks(path, channels, replace(options, size=None))


def _chunks(path: Path, channels: int, options: DataOptions) -> Iterator[Chunk]:
    for recordings in spoken_recordings(path, channels):
        events = kept = len(recordings.t)
        if options.frames == "duration":
            bounds = frame_bounds(recordings, options.num_steps, options.frames, options.frame_ms)
            kept = int((bounds[:, -1] - bounds[:, 0]).sum())
        frames = frames_of(recordings, options)[:, :, 1:]  # all have one polarity
        yield Chunk(frames, events, kept, Extent.of(recordings))
