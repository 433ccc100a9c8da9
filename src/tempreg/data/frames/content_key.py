"""What files hold, as one short word; a file that stays as it is is read for it once only."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from pathlib import Path

from tempreg.data.errors import DataError
from tempreg.data.frames.cache import unwritable
from tempreg.files import write_text

YOUNG_SECONDS = 2.0
"""Files changed less long ago may change again without a new time: they aren't remembered."""
_DIGEST = re.compile(r"[0-9a-f]{32}")


def content_key(files: Sequence[Path], root: Path, notes: Path) -> str:
    """A hash of the names below `root` and the content of `files`, wherever `root` lies.

    Reading everything to know that nothing changed would cost as much as the work it saves. So
    a note in `notes` holds the hash under what a disk tells without reading: place, size, and the
    times of the last change of content and of properties, to the nanosecond. A changed file has
    another size or time and is read again; only who sets back the clock of the machine and keeps
    the size goes unnoticed.

    Raises:
        DataError: a file can't be read, or the note not written.
    """
    seen, newest = hashlib.blake2b(repr(root.resolve()).encode()), 0
    try:
        for file in files:
            stat = file.stat()
            newest = max(newest, stat.st_mtime_ns, stat.st_ctime_ns)
            about = (file.relative_to(root).as_posix(), stat.st_size)
            seen.update(repr((*about, stat.st_mtime_ns, stat.st_ctime_ns)).encode())
        note = notes / f"{seen.hexdigest()[:32]}.content"
        if (known := _noted(note)) is not None:
            return known
        started, content = time.time_ns(), hashlib.blake2b()
        for file in files:
            content.update(repr(file.relative_to(root).as_posix()).encode())
            content.update(hashlib.blake2b(file.read_bytes()).digest())
    except OSError as error:
        raise DataError(f"{error.filename} can't be read: {error.strerror}") from None
    key = content.hexdigest()[:32]
    if started - newest > YOUNG_SECONDS * 1e9:
        try:
            notes.mkdir(parents=True, exist_ok=True)
            write_text(note, key)
        except OSError as error:
            raise unwritable(notes, error) from None
    return key


def _noted(note: Path) -> str | None:
    try:
        key = note.read_text(encoding="ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return key if _DIGEST.fullmatch(key) else None
