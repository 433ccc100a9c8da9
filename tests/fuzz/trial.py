"""One input after another through a reader, in a process that may be killed by any of them."""

from __future__ import annotations

import io
import json
import multiprocessing
import random
import resource
import shutil
import signal
import traceback
import warnings
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import NamedTuple

from tempreg.errors import RequestError, RunStopped, one_line
from tests.fuzz.mutations import mutated
from tests.fuzz.steps import Corpus, Step, watched
from tests.fuzz.targets import Target

SECONDS = 20
"""Of processor time that an input may take."""
MEMORY = 2**30
"""Bytes that a process may take beside what it has when it begins."""


class Counts(NamedTuple):
    """Of inputs: tried, read, refused in a sentence, kept to go on from; else, in words."""

    tried: int
    read: int
    refused: int
    kept: int
    crashes: list[str]


def tried(
    target: Target, folder: Path, first: int, count: int, crashes: Path,
    corpus: Corpus | None = None,
) -> Counts:  # fmt: skip
    """Inputs number `first` and on, whose seed is their number; those that crash are kept.

    With a corpus they are drawn from what it has too, and are added to it where they take a new
    step through the sources. Ends early where one ended the process.
    """
    shutil.rmtree(folder, ignore_errors=True)
    inside = folder / "given" / "inside"
    inside.mkdir(parents=True)
    target.around(inside)
    (inside / target.file).parent.mkdir(parents=True, exist_ok=True)
    note = folder / "note.json"
    child = multiprocessing.get_context("fork").Process(
        target=_child, args=(target, inside, first, count, crashes, note, corpus)
    )
    child.start()
    child.join()
    if corpus is not None and (steps := folder / "steps.json").exists():
        corpus.seen.update(map(tuple, json.loads(steps.read_text())))
    found = Counts(*json.loads(note.read_text()))
    if child.exitcode:
        kept = _keep(target, inside, first + found.tried, crashes)
        ended = "hung" if child.exitcode == -signal.SIGPROF else f"exit code {child.exitcode}"
        found = found._replace(tried=found.tried + 1, crashes=[*found.crashes, f"{kept}: {ended}"])
    return found


def _child(
    target: Target, inside: Path, first: int, count: int, crashes: Path, note: Path,
    corpus: Corpus | None,
) -> None:  # fmt: skip
    valid = target.seeds()
    seeds = [*valid]
    if corpus is not None:
        seeds += corpus.inputs()
        if not corpus.seen:
            for content in seeds:
                _, steps = _steps(target, inside, content)
                corpus.seen |= steps
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)
    done = Counts(0, 0, 0, 0, [])
    note.write_text(json.dumps(done))
    for number in range(first, first + count):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile's, of a name that is there twice
            rng = random.Random(number)
            content = mutated(valid if rng.random() < 0.5 else seeds, rng)
        note.write_text(json.dumps(done))
        outcome, steps = _steps(target, inside, content, corpus is not None)
        if outcome not in ("read", "refused"):
            kept = _keep(target, inside, number, crashes)
            done = done._replace(crashes=[*done.crashes, f"{kept}: {outcome}"])
        elif corpus is not None and corpus.learn(content, steps):
            done = done._replace(kept=done.kept + 1)
            seeds.append(content)
        done = done._replace(
            tried=done.tried + 1,
            read=done.read + (outcome == "read"),
            refused=done.refused + (outcome == "refused"),
        )
    note.write_text(json.dumps(done))
    if corpus is not None:
        (note.parent / "steps.json").write_text(json.dumps(list(corpus.seen)))


def _steps(
    target: Target, inside: Path, content: bytes, watch: bool = True
) -> tuple[str, set[Step]]:
    """What came of an input, see `judged`, and the steps that it took, if they are watched."""
    (inside / target.file).write_bytes(content)
    steps: set[Step] = set()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    with watched(steps) if watch else nullcontext():
        outcome = judged(target, inside)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return outcome, steps


def judged(target: Target, inside: Path) -> str:
    """ "read", "refused", or what else came of the file in the folder `inside`."""
    before = set(inside.parent.iterdir())
    errors = io.StringIO()
    with redirect_stderr(errors), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        outcome = _outcome(target, inside)
    for each in warned:
        if Path(target.file).name not in str(each.message):
            outcome = f"warned without a place: {each.message}"
    if errors.getvalue().strip():
        outcome = f"wrote to standard error: {errors.getvalue().strip()[:200]!r}"
    if set(inside.parent.iterdir()) != before:
        outcome = "wrote outside of its folder"
    return outcome[:400]


def _outcome(target: Target, inside: Path) -> str:
    try:
        target.read(inside)
    except (RequestError, RunStopped, OSError) as error:
        return "refused" if one_line(error) else "refused without a word"
    except BaseException as error:  # noqa: BLE001 - whatever a reader lets through is a crash
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}: {error}"
    return "read"


def _keep(target: Target, inside: Path, number: int, crashes: Path) -> str:
    name = f"{plain_name(target.name)}-{number}"
    crashes.mkdir(parents=True, exist_ok=True)
    shutil.copy(inside / target.file, crashes / name)
    return name


def plain_name(name: str) -> str:
    """A reader's name for a file."""
    return name.replace("/", "-").replace(" ", "_")
