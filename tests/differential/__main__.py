"""Random recordings through our readers and through other people's: equal events, or both refuse.

    python -m tests.differential [--streams 10000] [--log FILE] [--page FILE] [--only FORMAT]

Needs the libraries of requirements.txt beside it. Each stream's seed is its number and format.
Where a decoder disagrees, our reader must agree with a decoder of a word at a time, and the stream
have a feature that the other is known to take otherwise (`explained`); else the exit code is 1.
With --only, the log's other formats stay in the table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tempreg.data.formats.recordings import aedat4, read_recording
from tempreg.files import write_text
from tests.differential import other_streams, prophesee_streams
from tests.differential.decoders import DECODERS, PLAIN, answer
from tests.differential.explained import NEVER, NO_ANSWER, REASONS
from tests.differential.in_process import run_here
from tests.differential.stream import Stream

BEGIN, END = "<!-- differential: begin -->\n", "<!-- differential: end -->\n"
MAKERS: dict[str, Callable[[random.Random], Stream]] = {
    "EVT 2.0": prophesee_streams.evt2,
    "EVT 2.1": prophesee_streams.evt21,
    "EVT 3.0": prophesee_streams.evt3,
    "Prophesee .dat": prophesee_streams.dat,
    "N-MNIST .bin": other_streams.forty_bit,
    "AEDAT 1": other_streams.aedat_1,
    "AEDAT 2": other_streams.aedat_2,
    "AEDAT 3.1": other_streams.aedat_3,
    "AEDAT 4": other_streams.aedat_4,
    "HDF5": other_streams.hdf5,
    ".npz": other_streams.npz,
    ".csv": other_streams.csv,
}


@dataclass
class Count:
    """Of one format and decoder."""

    streams: int = 0
    read: int = 0
    refused: int = 0
    explained: int = 0
    open: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


Counts = dict[str, Count]
"""By decoder."""


def main(words: Sequence[str] | None = None) -> int:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential")
    parser.add_argument("--streams", type=int, default=10_000, help="of each format")
    parser.add_argument("--log", type=Path, default=Path("build/differential.json"))
    parser.add_argument("--page", type=Path, help="Markdown that has a place for the table")
    parser.add_argument("--only", action="append", choices=MAKERS, metavar="FORMAT")
    parser.add_argument("--show", type=int, default=3, help="of what isn't explained")
    parser.add_argument("--jobs", type=int, default=2, help="formats at once")
    args = parser.parse_args(words)
    aedat4.subprocess.run = run_here  # type: ignore[assignment]
    names = list(args.only or MAKERS)
    with ProcessPoolExecutor(args.jobs, multiprocessing.get_context("fork")) as pool:
        done = pool.map(compared, names, [args.streams] * len(names), [args.show] * len(names))
        found = dict(zip(names, done, strict=True))
    kept = read(args.log) if args.only else {}
    every = {name: found.get(name) or kept[name] for name in MAKERS if name in {**kept, **found}}
    write(args.log, every)
    text = table(every)
    print(text)
    if args.page is not None:
        page = args.page.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        write_text(args.page, f"{before}{BEGIN}\n{text}\n\n{END}{rest.split(END)[1]}")
    return int(any(count.open for each in found.values() for count in each.values()))


def compared(name: str, streams: int, show: int) -> Counts:
    """All streams of a format through all decoders of it."""
    counts = {other: Count() for other in DECODERS[name]}
    with tempfile.TemporaryDirectory() as scratch:
        for index in range(streams):
            stream = MAKERS[name](random.Random(f"{name} {index}"))
            path = Path(scratch, f"a{stream.suffix}")
            path.write_bytes(stream.raw)
            compare(name, index, stream, path, counts, show)
    for other, count in counts.items():
        for features, number in count.unknown.most_common(show):
            print(f"{name}, {other}, not explained {number} times: {features}", flush=True)
    print(f"{name}: done", file=sys.stderr, flush=True)
    return counts


def compare(name: str, index: int, stream: Stream, path: Path, counts: Counts, show: int) -> None:
    """One stream, which lies at `path`, into `counts`."""
    mine = answer(ours, path)
    word_by_word = mine
    for other, decode in DECODERS[name].items():
        count = counts[other]
        count.streams += 1
        theirs = answer(decode, path)
        word_by_word = theirs if other == PLAIN else word_by_word
        if same(mine, theirs):
            count.read += not isinstance(mine, str)
            count.refused += isinstance(mine, str)
            continue
        known = set(REASONS.get((name, other), {}).keys() & stream.features)
        if isinstance(theirs, str) and theirs.startswith("NoAnswer"):
            known = {NO_ANSWER}
        if known and same(mine, word_by_word):
            count.explained += 1
            count.reasons.update(known)
            continue
        count.open += 1
        count.unknown[", ".join(sorted(stream.features)) or "nothing of note"] += 1
        if count.open <= show:
            print(f"{name}, stream {index}, {other}: {sorted(stream.features)}")
            print("  ours:", _told(mine, theirs), "\n  theirs:", _told(theirs, mine))


def ours(path: Path) -> NDArray[np.int64]:
    """Our reader."""
    found = read_recording(path)
    return np.stack([found.t, found.x, found.y, found.p], axis=1)


def same(one: NDArray[np.int64] | str, other: NDArray[np.int64] | str) -> bool:
    """Whether both refuse, or have equal events."""
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str)
    return np.array_equal(one, other)


def _told(one: NDArray[np.int64] | str, other: NDArray[np.int64] | str) -> str:
    """An answer from where the other differs."""
    if isinstance(one, str):
        return one[:200]
    if isinstance(other, str):
        return f"{len(one)} events"
    short = min(len(one), len(other))
    differ = (one[:short] != other[:short]).any(axis=1)
    place = int(np.argmax(differ)) if differ.any() else short
    return f"{len(one)} events, from {place}: {one[place : place + 4].tolist()}"


def read(log: Path) -> dict[str, Counts]:
    """Counts by format, as `write` left them."""
    held = json.loads(log.read_text(encoding="utf-8"))
    return {
        name: {
            other: Count(**{**count, "reasons": Counter(count["reasons"]), "unknown": Counter()})
            for other, count in each.items()
        }
        for name, each in held.items()
    }


def write(log: Path, found: dict[str, Counts]) -> None:
    """Counts by format, without what isn't explained."""
    log.parent.mkdir(parents=True, exist_ok=True)
    held = {
        name: {
            other: {**vars(count), "reasons": dict(count.reasons), "unknown": {}}
            for other, count in each.items()
        }
        for name, each in found.items()
    }
    write_text(log, json.dumps(held, indent=1, sort_keys=True) + "\n")


def table(found: dict[str, Counts]) -> str:
    """In Markdown, and what is explained beneath."""
    lines = [
        "| Format | decoder | streams | equal events | both refuse | disagree: explained | not |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    notes: dict[tuple[str, str], Counter[str]] = {}
    for name, each in found.items():
        for other in DECODERS[name]:
            count = each[other]
            numbers = (count.streams, count.read, count.refused, count.explained, count.open)
            lines.append(f"| {name} | {other} | {' | '.join(f'{n:,}' for n in numbers)} |")
            for feature, number in count.reasons.items():
                reason = REASONS.get((name, other), {}).get(feature, NEVER)
                notes.setdefault((feature, reason), Counter())[f"{other} ({name})"] += number
    lines.append("")
    for (feature, reason), who in sorted(notes.items()):
        counted = ", ".join(f"{other} {number:,}" for other, number in who.items())
        lines.append(f"- {feature}: {counted}: {reason}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
