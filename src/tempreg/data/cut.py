"""Long recordings cut into pieces that can be trained on, each in a folder of its session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import final

import numpy as np

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings import Recording, read_recording
from tempreg.data.formats.recordings.writing import columns_of
from tempreg.data.layout.part_names import part_of, says_nothing
from tempreg.data.sources.events import EventFolder
from tempreg.data.sources.recordings import Sample
from tempreg.files import naming, scratch
from tempreg.options import SourceOptions
from tempreg.options.field import check_option

_MOST_PIECES = 1_000_000
"""Of one recording; more are a slip of the keyboard, or a time that is wrong."""
_TOLD = 3
"""Empty pieces that are named."""


@final
@dataclass
class Cut:
    """What became of the recordings of a folder.

    Attributes:
        recordings: how many were cut.
        events: in all of them, and so in all pieces.
        pieces: files written, by class.
        sessions: of each class.
        empty: pieces in which nothing happens, which are not written; `empty_at` has the first
            few, in words.
        blank: recordings without any event.
        shorter: last pieces, which end with the recording.
        faults: a sentence for each damaged recording, of which there are no pieces.
        remarks: what was taken to be what, a sentence each.
    """

    recordings: int = 0
    events: int = 0
    pieces: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, set[str]] = field(default_factory=dict)
    empty: int = 0
    empty_at: list[str] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)
    shorter: int = 0
    faults: list[str] = field(default_factory=list)
    remarks: tuple[str, ...] = ()


def cut(
    folder: Path, out: Path, ms: float, told: Callable[[Path], None] = lambda path: None
) -> Cut:
    """Cut all recordings of an own folder; see `layout` for how it may be laid out.

    Damaged ones are left out, and named.

    Piece k of a recording has its events from k ms to before (k + 1) ms after its first one, with
    their times as they are. It is `[part/]class/session/name_k.npz` in `out`: the session is the
    recording's own, or the recording itself where it has none.

    Args:
        folder: see `sources.events.EventFolder`.
        out: a folder that isn't there yet, not in `folder`.
        ms: milliseconds a piece, >= 0.001.
        told: each recording, before it is cut.

    Raises:
        DataError: `out` is there, or what was found can't be cut, as where every recording is
            damaged; nothing stays of `out`.
        OSError: the pieces can't be written; nothing stays of `out`.
    """
    try:
        check_option(SourceOptions, "frame_ms", ms, "--ms")
    except ValueError as error:
        raise DataError(str(error)) from None
    _check_places(folder, out)
    classes, samples, remarks = EventFolder().found(folder)
    found = Cut(remarks=remarks)
    taken: dict[Path, Path] = {}
    with scratch(out.parent) as temporary:
        root = temporary / out.name
        for sample in samples:
            told(sample.path)
            place = _place(sample, classes[sample.target])
            if (other := taken.setdefault(place, sample.path)) != sample.path:
                raise DataError(
                    f"{other} and {sample.path} would be cut into files of the same names: rename "
                    "one of them"
                )
            _cut_one(sample, classes[sample.target], root / place, ms, found)
        if not found.pieces:
            more = len(found.faults) - 1
            damaged = f"; {found.faults[0]}" + (f" (and {more} more)" if more > 0 else "")
            raise DataError(
                f"{folder} holds no event: there is nothing to cut{damaged if found.faults else ''}"
            )
        if out.exists():
            raise DataError(f"{out} was made by something else meanwhile: give another --to")
        root.rename(out)
    return found


def _check_places(folder: Path, out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise DataError(f"{out} is there already: give --to a folder that isn't, or remove it")
    if out.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{out} lies in {folder}, where its pieces would be taken for a class")
    if not out.parent.is_dir():
        raise DataError(f"there is no folder {out.parent} for {out.name}: make it first")


def _place(sample: Sample, name: str) -> Path:
    """Where the pieces of a recording go, without their numbers: [part]/class/session/stem."""
    session = sample.session or sample.path.stem
    folders = [
        f"session-{part}" if part_of(part) or says_nothing(part) else part
        for part in session.split("/")
    ]
    return Path(sample.part or "", name, *folders, sample.path.stem)


def _cut_one(sample: Sample, name: str, place: Path, ms: float, found: Cut) -> None:
    try:
        recording = read_recording(sample.path)
    except DataError as fault:
        found.faults.append(str(fault))
        return
    found.recordings += 1
    if not len(recording.t):
        found.blank.append(str(sample.path))
        return
    width = max(1, round(ms * 1000))
    last = int(recording.t[-1] - recording.t[0]) // width
    pieces = list(_pieces(recording, width))
    if len(pieces) > _MOST_PIECES:
        raise DataError(f"{sample.path} would become {len(pieces):,} pieces: give a larger --ms")
    digits = max(4, len(str(last)))
    place.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    for number, piece in pieces:
        path = place.parent / f"{place.name}_{number:0{digits}}.npz"
        with naming(path):
            np.savez_compressed(path, **columns_of(sample.path, piece))
        written += len(piece.t)
    if written != len(recording.t):
        raise AssertionError(f"{sample.path}: {written} of {len(recording.t)} events in pieces")
    found.events += written
    found.pieces[name] = found.pieces.get(name, 0) + len(pieces)
    found.sessions.setdefault(name, set()).add(place.parent.name)
    found.shorter += int(recording.t[-1]) - int(recording.t[0]) + 1 != (last + 1) * width
    found.empty += last + 1 - len(pieces)
    there = {number for number, _ in pieces}
    gaps = (f"{sample.path} from {k * ms / 1000:g} s" for k in range(last + 1) if k not in there)
    found.empty_at += islice(gaps, min(_TOLD - len(found.empty_at), last + 1 - len(pieces)))


def _pieces(recording: Recording, width: int) -> Iterator[tuple[int, Recording]]:
    """The number and events of each piece of `width` microseconds that has any."""
    number = (recording.t - recording.t[0]) // width
    begins = np.flatnonzero(np.diff(number, prepend=-1))
    ends = np.append(begins[1:], len(number))
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        part = slice(begin, end)
        yield (
            int(number[begin]),
            Recording(
                recording.t[part],
                recording.x[part],
                recording.y[part],
                recording.p[part],
                recording.sensor_size,
            ),
        )
