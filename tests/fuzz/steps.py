"""The steps that inputs take through the sources; an input that takes a new one is gone on from.

A step is a pair of lines of one function, run one after the other. Watched are this package and the
readers in Python that it calls; what libraries do in C is not seen.
"""

from __future__ import annotations

import hashlib
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import PIL
import scipy.io

import tempreg

Step = tuple[str, int, int]
"""A file, and two of its lines."""
MOST_KEPT = 300
LARGEST = 2**17
"""Bytes of an input that is kept."""
WATCHED = (
    *(str(Path(str(package.__file__)).parent) for package in (tempreg, PIL, scipy.io)),
    str(tarfile.__file__), str(zipfile.__file__),
)  # fmt: skip


class Corpus:
    """The inputs of one reader that took a step as the first, kept in a folder. Final."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[Step] = set()

    def inputs(self) -> list[bytes]:
        """Those that were kept, in the order of their names."""
        return [file.read_bytes() for file in sorted(self.folder.glob("*"))]

    def learn(self, content: bytes, steps: set[Step]) -> bool:
        """Whether this input took a new step and was kept."""
        new = not steps <= self.seen
        self.seen |= steps
        room = len(content) <= LARGEST and len(list(self.folder.glob("*"))) < MOST_KEPT
        if not (new and room):
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
        return True


@contextmanager
def watched(steps: set[Step]) -> Iterator[None]:
    """Adds to `steps` those that are taken inside."""

    def called(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(WATCHED):
            return None
        last = 0

        def ran(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                steps.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            return ran

        return ran

    before = sys.gettrace()
    sys.settrace(called)
    try:
        yield
    finally:
        sys.settrace(before)
