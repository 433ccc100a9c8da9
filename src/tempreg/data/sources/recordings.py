"""Sets of recordings in files, by class; frames are made once and kept on disk."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray

from tempreg.data.base import SPLITS, ArraySplit, DataSet, Split
from tempreg.data.checks import Check, check_recordings, examined, told_skipped, without_events
from tempreg.data.errors import DataError
from tempreg.data.formats.recordings import common_size, joined, read_recording, read_recordings
from tempreg.data.frames.cache import Chunk, FrameSplit, cache_folder, cached
from tempreg.data.frames.content_key import content_key
from tempreg.data.frames.extent import Extent
from tempreg.data.frames.frames import check_frames, frames_of
from tempreg.data.frames.recordings import Recordings, frame_bounds
from tempreg.data.reading import Reading
from tempreg.data.source import Source
from tempreg.data.splits.cautions import shared
from tempreg.data.splits.drawn import last_of_each_class, natural
from tempreg.data.splits.parts import draw
from tempreg.data.splits.sessions import Sessions, sessions_of
from tempreg.options import DataOptions

READER_VERSION = 5
"""Part of the cache's key: raise it whenever the same file and settings give other frames."""
_BYTES, _CELLS, _LARGEST = 2**19, 2**26, 2**10
"""Read at a time: of files, of counts in frames, of recordings."""
TEST_SHARE = 0.1
"""Of each class, where no test part is official: held out before the validation part."""


@final
@dataclass(frozen=True)
class Sample:
    """A recording: a file or a span of one.

    Attributes:
        path: the file.
        target: class index.
        part: of SPLITS, where one is official; training samples may go to validation.
        session: samples of one session are never divided between parts; None: on its own.
        span: first and last + 1 microsecond; None: all.
        counted: whether its name only counts, so that it may be of one session with the others of
            its class for which that holds too.
    """

    path: Path
    target: int
    part: str | None = None
    session: str | None = None
    span: tuple[int, int] | None = None
    counted: bool = False


class EventSource(Source):
    """Recordings in a folder. Subclass it and define `samples` and the class attributes."""

    kind: ClassVar[Literal["images", "events"]] = "events"
    sensor_size: ClassVar[tuple[int, int] | None] = None
    without: ClassVar[tuple[str, ...]] = ("gap",)

    @abstractmethod
    def samples(self, folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
        """The classes in the order of their indices, and all samples in a fixed order."""

    def found(self, folder: Path) -> tuple[tuple[str, ...], list[Sample], tuple[str, ...]]:
        """As `samples`, and what was taken to be what, a sentence each."""
        return (*self.samples(folder), ())

    def load(self, options: DataOptions) -> DataSet:
        """See `Source`; frames as in `frames_of`, with options.cache kept on disk."""
        check_frames(options)
        folder = self.complete_folder(options)
        classes, samples, found = self.found(folder)
        samples, skipped = self._whole(samples) if options.skip_damaged else (samples, ())
        rows, cautions = parts(samples, options, classes)
        targets = torch.tensor([sample.target for sample in samples])
        splits: list[Split]
        if options.cache:
            path = cache_folder() / f"{self.name}-{_key(folder, samples, options)}.frames"
            build = partial(built, samples, self.sensor_size, options)
            frames = cached(path, len(samples), build)
            splits = [FrameSplit(frames, r, targets[torch.from_numpy(r)]) for r in rows]
            size, events, shape = frames.sensor_size, frames.events, frames.shape
            extent = frames.extent
        else:
            size, chunks = built(samples, self.sensor_size, options)
            held = list(chunks)
            values = torch.cat([chunk.frames for chunk in held])
            splits = [ArraySplit(values[r], targets[r]) for r in map(torch.from_numpy, rows)]
            events = sum(chunk.events for chunk in held), sum(chunk.kept for chunk in held)
            shape, extent = tuple(values.shape), Extent.over(chunk.extent for chunk in held)
        train, validation, test = splits
        remarks = [*found, *told_skipped(skipped)]
        if not self.sensor_size:
            remarks.append(f"sensor size, by the recordings: {size[1]} x {size[0]}")
        if events[1] < events[0]:
            share = f"{events[1] / events[0]:.1%} of {events[0]:,} events"
            remarks.append(f"the frames hold {share}: the others come after the last frame")
        if options.frames == "published":
            remarks.append(
                "frames as the paper's scripts make them: of both polarities together, in channel "
                "1, each cell 0 or 1"
            )
        input_size = (shape[-2], shape[-1])
        sessions = None if options.sessions == "none" else session_numbers(samples)
        reading = Reading("events", 2, input_size, sensor_size=size, extent=extent)
        return DataSet(
            self.name,
            train,
            validation,
            test,
            classes,
            2,
            input_size,
            reading,
            tuple(remarks),
            sessions=None if sessions is None else torch.from_numpy(sessions[np.concatenate(rows)]),
            cautions=cautions,
            skipped=skipped,
        )

    def _whole(self, samples: list[Sample]) -> tuple[list[Sample], tuple[str, ...]]:
        """The samples that can be used, and a sentence on each other."""
        spans = [(sample.path, sample.span) for sample in samples]
        good, faults = [], []
        for sample, (_, held, fault) in zip(
            samples, examined(spans, self.sensor_size), strict=True
        ):
            if held is None:
                faults.append(fault)
            else:
                good.append(sample)
        return good, tuple(dict.fromkeys(faults))

    def check(self, options: DataOptions) -> Check:
        """See `Source`; every file is read, also those after a damaged one."""
        classes, samples, remarks = self.found(self.folder(options))
        rows, cautions = parts(samples, options, classes)
        spans = [(sample.path, sample.target, sample.span) for sample in samples]
        return check_recordings(classes, spans, rows, self.sensor_size, (*remarks, *cautions))


def parts(
    samples: list[Sample], options: DataOptions, classes: Sequence[str] = ()
) -> tuple[list[NDArray[np.int64]], tuple[str, ...]]:
    """Rows of training, validation and test, official, else drawn; and what they can't show.

    DataError names the class (of `classes`) that has too few samples for that.
    """
    part = np.array([sample.part or "train" for sample in samples], dtype="<U10")
    targets = np.array([sample.target for sample in samples], dtype=np.int64)
    given = {sample.part for sample in samples} - {None}
    if options.test_part == "last" and not (part == "test").any():
        left = np.flatnonzero(part == "train")
        names = [natural(samples[i].path.as_posix()) for i in left]
        part[left[last_of_each_class(targets[left], names)]] = "test"
    shares = {"test": TEST_SHARE, "validation": options.validation}
    shares = {name: shares[name] for name in shares if shares[name] and not (part == name).any()}
    left = np.flatnonzero(part == "train")
    sessions = None if options.sessions == "none" else _sessions(samples)
    drawn = draw(
        targets[left],
        shares,
        options.split_seed,
        classes,
        None if sessions is None else sessions.of(left),
    )
    part[left] = drawn.part
    told = [
        (sample.part, classes[sample.target] if classes else str(sample.target), sample.session)
        for sample in samples
        if sample.part is not None and sample.session is not None
    ]
    found = shared(told) if len(given) > 1 and options.sessions != "none" else ()
    return [np.flatnonzero(part == name) for name in SPLITS], (*found, *drawn.cautions)


def _sessions(samples: list[Sample]) -> Sessions | None:
    return sessions_of(
        [sample.session for sample in samples],
        [(natural(sample.path.as_posix()), sample.span or (0, 0)) for sample in samples],
        [sample.target for sample in samples],
        {sample.target for sample in samples if sample.counted},
    )


def session_numbers(samples: list[Sample]) -> NDArray[np.int64] | None:
    """What folds never divide [N]: sessions, of a class of one stretches of it; None: nothing."""
    sessions = _sessions(samples)
    if sessions is None:
        return None
    return sessions.for_folds(np.array([sample.target for sample in samples], dtype=np.int64))


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
        parts_of = (_read(group, None) for group in _groups(samples, _LARGEST))
        sensor_size = common_size([(part.sensor_size, part.stated) for part in parts_of])
    return sensor_size, _frames(samples, sensor_size, options)


def _frames(samples: list[Sample], size: tuple[int, int], options: DataOptions) -> Iterator[Chunk]:
    for group in _groups(samples, _CELLS // (options.num_steps * 2 * size[0] * size[1])):
        recordings = _read(group, size)
        for index in np.flatnonzero(np.diff(recordings.offsets) == 0)[:1]:
            raise DataError(without_events(group[index].path, group[index].span))
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
        if options.frames in ("duration", "published"):
            bounds = frame_bounds(recordings, options.num_steps, options.frames, options.frame_ms)
            kept = int((bounds[:, -1] - bounds[:, 0]).sum())
        yield Chunk(frames, events, kept, Extent.of(recordings))


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
