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
from torch import Tensor

from tempreg.data.base import SPLITS, ArraySplit, DataSet, Split
from tempreg.data.checks import Check, check_recordings
from tempreg.data.event_files import Recording, guessed_size, read_recording
from tempreg.data.events import Recordings
from tempreg.data.frame_cache import FrameSplit, cache_folder, cached
from tempreg.data.frames import frames_of
from tempreg.data.options import DataOptions
from tempreg.data.source import DataError, Source
from tempreg.data.splits import held_out

READER_VERSION = 1
"""Part of the cache's key: raise it whenever the same file and settings give other frames."""
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
        folder = self.folder(options)
        if missing := self.missing(folder):
            raise DataError(f"{self.name} is not complete: {missing[0]}. {self.instructions}")
        classes, samples = self.samples(folder)
        rows = parts(samples, options)
        targets = torch.tensor([sample.target for sample in samples])
        splits: list[Split]
        if options.cache:
            path = cache_folder() / f"{self.name}-{_key(folder, samples, options)}.frames"
            frames = cached(path, partial(_built, samples, self.sensor_size, options))
            height, width = frames.shape[-2:]
            splits = [FrameSplit(frames, r, targets[torch.from_numpy(r)]) for r in rows]
        else:
            values = torch.cat(list(_built(samples, self.sensor_size, options)[1]))
            height, width = values.shape[-2:]
            splits = [ArraySplit(values[r], targets[r]) for r in map(torch.from_numpy, rows)]
        train, validation, test = splits
        return DataSet(self.name, train, validation, test, classes, 2, (height, width))

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
    asked = (options.num_steps, options.frames, options.frame_ms, options.normalise)
    digest = hashlib.blake2b(repr((READER_VERSION, asked, options.size, options.resize)).encode())
    last: Path | None = None
    for sample in samples:
        digest.update(repr((sample.path.relative_to(folder).as_posix(), sample.span)).encode())
        if sample.path != last:
            last = sample.path
            try:
                digest.update(hashlib.blake2b(last.read_bytes()).digest())
            except OSError as error:
                raise DataError(f"{last} can't be read: {error.strerror}") from None
    return digest.hexdigest()[:32]


def _built(
    samples: list[Sample], sensor_size: tuple[int, int] | None, options: DataOptions
) -> tuple[tuple[int, int], Iterator[Tensor]]:
    """For `cached`: all recordings are read once for their size and faults, then for frames."""
    height = width = events = 0
    for recording in _recordings(samples):
        own = recording.sensor_size or (0, 0)
        height = max(height, own[0], int(recording.y.max(initial=-1)) + 1)
        width = max(width, own[1], int(recording.x.max(initial=-1)) + 1)
        events += len(recording.t)
    size = sensor_size or guessed_size(max(height, 1), max(width, 1))
    return (len(samples), events), _frames(samples, size, options)


def _frames(samples: list[Sample], size: tuple[int, int], options: DataOptions) -> Iterator[Tensor]:
    for sample, recording in zip(samples, _recordings(samples), strict=True):
        offsets = np.array([0, len(recording.t)])
        try:
            events = Recordings(recording.t, recording.x, recording.y, recording.p, offsets, size)
            yield frames_of(events, options)
        except ValueError as error:
            raise DataError(f"{sample.path}: {error}") from None


def _recordings(samples: list[Sample]) -> Iterator[Recording]:
    """The recording of each sample; a file with several in a row is read once."""
    last: Path | None = None
    for sample in samples:
        if sample.path != last:
            whole, last = read_recording(sample.path), sample.path
        yield whole if sample.span is None else whole.between(*sample.span)
