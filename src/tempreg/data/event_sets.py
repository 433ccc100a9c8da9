"""Sets of recordings in files, by class; frames are made once and kept on disk."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tempreg.data.base import SPLITS, ArraySplit, DataSet, Split
from tempreg.data.checks import Check, check_recordings
from tempreg.data.content_key import content_key
from tempreg.data.event_files import guessed_size, joined, read_recording, read_recordings
from tempreg.data.events import Recordings, frame_bounds
from tempreg.data.frame_cache import Chunk, FrameSplit, cache_folder, cached
from tempreg.data.frames import check_frames, frames_of
from tempreg.data.options import DataOptions
from tempreg.data.single import Reading
from tempreg.data.source import DataError, Source
from tempreg.data.splits import held_out

READER_VERSION = 2
"""Part of the cache's key: raise it whenever the same file and settings give other frames."""
_BYTES, _CELLS, _LARGEST = 2**19, 2**26, 2**10
"""Read at a time: of files, of counts in frames, of recordings."""
TEST_SHARE = 0.1
"""Of each class, where no test part is official: held out before the validation part."""


@dataclass(frozen=True)
class Sample:
    """A recording: a file or a span of one. Final.

    Attributes:
        path: the file.
        target: class index.
        part: of SPLITS, where one is official; training samples may go to validation.
        session: samples of one session are never divided between parts; None: on its own.
        span: first and last + 1 microsecond; None: all.
    """

    path: Path
    target: int
    part: str | None = None
    session: str | None = None
    span: tuple[int, int] | None = None


class EventSource(Source):
    """Recordings in a folder. Subclass it and define `samples` and the class attributes."""

    kind: ClassVar[Literal["images", "events"]] = "events"
    sensor_size: ClassVar[tuple[int, int] | None] = None

    @abstractmethod
    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        """The classes in the order of their indices, and all samples in a fixed order."""

    def load(self, options: DataOptions) -> DataSet:
        """See `Source`; frames as in `frames_of`, with options.cache kept on disk."""
        check_frames(options)
        folder = self.folder(options)
        if missing := self.missing(folder):
            raise DataError(f"{self.name} is not complete: {missing[0]}. {self.instructions}")
        classes, samples = self.samples(folder)
        rows = parts(samples, options)
        targets = torch.tensor([sample.target for sample in samples])
        splits: list[Split]
        if options.cache:
            path = cache_folder() / f"{self.name}-{_key(folder, samples, options)}.frames"
            build = partial(built, samples, self.sensor_size, options)
            frames = cached(path, len(samples), build)
            splits = [FrameSplit(frames, r, targets[torch.from_numpy(r)]) for r in rows]
            size, events, shape = frames.sensor_size, frames.events, frames.shape
        else:
            size, chunks = built(samples, self.sensor_size, options)
            held = list(chunks)
            values = torch.cat([chunk.frames for chunk in held])
            splits = [ArraySplit(values[r], targets[r]) for r in map(torch.from_numpy, rows)]
            events = sum(chunk.events for chunk in held), sum(chunk.kept for chunk in held)
            shape = tuple(values.shape)
        train, validation, test = splits
        remarks = (
            [] if self.sensor_size else [f"sensor size, by the recordings: {size[1]} x {size[0]}"]
        )
        if events[1] < events[0]:
            share = f"{events[1] / events[0]:.1%} of {events[0]:,} events"
            remarks.append(f"the frames hold {share}: the others come after the last frame")
        input_size = (shape[-2], shape[-1])
        reading = Reading("events", 2, input_size, sensor_size=size)
        return DataSet(
            self.name, train, validation, test, classes, 2, input_size, reading, tuple(remarks)
        )

    def check(self, options: DataOptions) -> Check:
        """See `Source`; every file is read, also those after a damaged one."""
        classes, samples = self.samples(self.folder(options))
        rows = parts(samples, options)
        spans = [(sample.path, sample.target, sample.span) for sample in samples]
        return check_recordings(classes, spans, rows, self.sensor_size)


def parts(samples: list[Sample], options: DataOptions) -> list[NDArray[np.int64]]:
    """Rows of training, validation and test, official where they are, else drawn by seed."""
    part = np.array([sample.part or "train" for sample in samples])
    for name, share in (("test", TEST_SHARE), ("validation", options.validation)):
        if not (part == name).any():
            left = np.flatnonzero(part == "train")
            sessions = [samples[i].session for i in left]
            groups = None
            if any(session is not None for session in sessions):
                labels = [s if s is not None else f"\0{i}" for i, s in enumerate(sessions)]
                groups = np.unique(labels, return_inverse=True)[1]
            targets = [samples[i].target for i in left]
            part = part.astype("<U10")
            part[left[held_out(targets, share, options.split_seed, groups)]] = name
    return [np.flatnonzero(part == name) for name in SPLITS]


def _key(folder: Path, samples: list[Sample], options: DataOptions) -> str:
    """A hash of what frames depend on: the files' content, not their age or place."""
    content = content_key(_files(samples), folder, cache_folder())
    asked = (options.num_steps, options.frames, options.frame_ms, options.normalise)
    spans = [sample.span for sample in samples]
    told = repr((READER_VERSION, content, spans, asked, options.size, options.resize))
    return hashlib.blake2b(told.encode()).hexdigest()[:32]


def _files(samples: list[Sample]) -> list[Path]:
    """Of the samples in their order, each once."""
    return list(dict.fromkeys(sample.path for sample in samples))


def built(
    samples: list[Sample], sensor_size: tuple[int, int] | None, options: DataOptions
) -> tuple[tuple[int, int], Iterator[Chunk]]:
    """The sensor's (H, W), and the frames; where the size isn't known all files are read twice."""
    if sensor_size is None:
        sizes = [_read(group, None).sensor_size for group in _groups(samples, _LARGEST)]
        sensor_size = guessed_size(max(s[0] for s in sizes), max(s[1] for s in sizes))
    return sensor_size, _frames(samples, sensor_size, options)


def _frames(samples: list[Sample], size: tuple[int, int], options: DataOptions) -> Iterator[Chunk]:
    for group in _groups(samples, _CELLS // (options.num_steps * 2 * size[0] * size[1])):
        recordings = _read(group, size)
        try:
            frames = frames_of(recordings, options)
        except ValueError:
            for index, sample in enumerate(group):
                try:
                    frames_of(recordings[index : index + 1], options)
                except ValueError as error:
                    raise DataError(f"{sample.path}: {error}") from None
            raise
        events = kept = len(recordings.t)
        if options.frames == "duration":
            bounds = frame_bounds(recordings, options.num_steps, "duration", options.frame_ms)
            kept = int((bounds[:, -1] - bounds[:, 0]).sum())
        yield Chunk(frames, events, kept)


def _groups(samples: list[Sample], most: int) -> Iterator[list[Sample]]:
    """Runs of at most `most` samples in files of about _BYTES, or of one file's samples."""
    group: list[Sample] = []
    size = 0
    for sample in samples:
        own = 0 if group and sample.path == group[-1].path else _size(sample.path)
        if group and (size + own > _BYTES or len(group) >= most):
            yield group
            group, size = [], 0
            own = _size(sample.path)
        group.append(sample)
        size += own
    if group:
        yield group


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from None


def _read(group: list[Sample], size: tuple[int, int] | None) -> Recordings:
    paths = [sample.path for sample in group]
    if all(sample.span is None for sample in group):
        return read_recordings(paths, size)
    recordings, last = [], None
    for sample in group:
        if sample.path != last:
            whole, last = read_recording(sample.path), sample.path
        recordings.append(whole if sample.span is None else whole.between(*sample.span))
    return joined(recordings, paths, size)
