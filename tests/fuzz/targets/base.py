"""What a reader is to the fuzzer, and what several of them need."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

OLD_RUN = Path(__file__).parents[2] / "data" / "old_run"


@dataclass(frozen=True)
class Target:
    """A reader. Final.

    Attributes:
        name: of the reader, for the table.
        file: what the damaged file is called, in the folder that `read` is given.
        seeds: valid contents of that file.
        read: reads the folder's file; it may return, or raise an error that is a sentence.
        around: fills the folder with what stands beside the file.
    """

    name: str
    file: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    around: Callable[[Path], None] = lambda folder: None


def made_by(fill: Callable[[Path], None], name: str) -> list[bytes]:
    """A file of the folder that `fill` fills."""
    with tempfile.TemporaryDirectory() as made:
        fill(Path(made))
        return [(Path(made) / name).read_bytes()]


def inside(folder: Path, files: Iterable[Path]) -> None:
    """What a file names, whatever it is, may not lie outside of the folder it was given."""
    for file in files:
        assert file.resolve().is_relative_to(folder.resolve()), file
