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
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

from tempreg.errors import RequestError, RunStopped, one_line
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import Target

SECONDS = 20
"""An input may take so long."""
MEMORY = 2**30
"""Bytes that a process may take beside what it has when it begins."""


class Counts(NamedTuple):
    """Of inputs: tried, read, refused in a sentence, and what else happened, in words."""

    tried: int
    read: int
    refused: int
    crashes: list[str]


def tried(target: Target, folder: Path, first: int, count: int, crashes: Path) -> Counts:
    """Inputs number `first` and on, whose seed is their number; those that crash are kept.

    Ends early where one ended the process.
    """
    shutil.rmtree(folder, ignore_errors=True)
    inside = folder / "given" / "inside"
    inside.mkdir(parents=True)
    target.around(inside)
    (inside / target.file).parent.mkdir(parents=True, exist_ok=True)
    note = folder / "note.json"
    child = multiprocessing.get_context("fork").Process(
        target=_child, args=(target, inside, first, count, crashes, note)
    )
    child.start()
    child.join()
    found = Counts(*json.loads(note.read_text()))
    if child.exitcode:
        kept = _keep(target, inside, first + found.tried, crashes)
        ended = "hung" if child.exitcode == -signal.SIGALRM else f"exit code {child.exitcode}"
        found = found._replace(tried=found.tried + 1, crashes=[*found.crashes, f"{kept}: {ended}"])
    return found


def _child(target: Target, inside: Path, first: int, count: int, crashes: Path, note: Path) -> None:
    seeds = target.seeds()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)
    done = Counts(0, 0, 0, [])
    note.write_text(json.dumps(done))
    for number in range(first, first + count):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile's, of a name that is there twice
            content = mutated(seeds, random.Random(number))
        (inside / target.file).write_bytes(content)
        note.write_text(json.dumps(done))
        signal.alarm(SECONDS)
        outcome = judged(target, inside)
        signal.alarm(0)
        if outcome not in ("read", "refused"):
            kept = _keep(target, inside, number, crashes)
            done = done._replace(crashes=[*done.crashes, f"{kept}: {outcome}"])
        done = done._replace(
            tried=done.tried + 1,
            read=done.read + (outcome == "read"),
            refused=done.refused + (outcome == "refused"),
        )
    note.write_text(json.dumps(done))


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
    name = f"{target.name.replace('/', '-').replace(' ', '_')}-{number}"
    crashes.mkdir(parents=True, exist_ok=True)
    shutil.copy(inside / target.file, crashes / name)
    return name
