"""Writing files so that a kill at any moment leaves the old one or the new one, never half."""

from __future__ import annotations

import errno
import glob
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, final

TEMPORARY_SUFFIX = ".tmp"
_HELD = ".held"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system says that knows no locks."""


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A hidden folder in `folder` for files that aren't whole yet, removed when the block ends.

    A kill leaves it behind, and the next one that is made in `folder` on the same machine takes it
    away: a process holds a lock in its own, which the system lets go when the process ends. So
    those of others at work are left alone, and so are all where there are no locks: on Windows,
    and on some file systems.
    """
    prefix = f".{platform.node()}."
    with ExitStack() as stack:
        own: Path | None = None
        while own is None:
            own = Path(tempfile.mkdtemp(dir=folder, prefix=prefix, suffix=TEMPORARY_SUFFIX))
            stack.callback(shutil.rmtree, own, ignore_errors=True)
            try:
                stack.enter_context(exclusive(own / _HELD))
                if not (own / _HELD).exists():
                    own = None
            except (Busy, FileNotFoundError):  # taken for a dead one's before it was locked
                own = None
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
        _clear(folder, prefix, own)
        yield own


def _clear(folder: Path, prefix: str, own: Path) -> None:
    """Remove what killed processes of this machine left in `folder`."""
    if sys.platform == "win32":
        return
    for left in folder.glob(f"{glob.escape(prefix)}*{TEMPORARY_SUFFIX}"):
        if left != own and left.is_dir():
            with suppress(Busy, OSError), exclusive(left / _HELD):
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path near `path`, which takes its place when the block ends without error.

    Raises:
        OSError: it can't be written; names `path`, whatever the system had to say.
    """
    try:
        with scratch(path.parent) as folder:
            temporary = folder / path.name
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
    except OSError as error:
        if error.errno is None:
            known = str(path) in str(error)
            raise (error if known else OSError(f"can't write {path}: {error}")) from None
        if error.filename is None or TEMPORARY_SUFFIX in str(error.filename):
            error.filename = str(path)
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the system that names no file, as one of writing, names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def link_out(folder: Path, names: Iterable[str]) -> str | None:
    """A sentence on the first of these paths in `folder` that is a link out of it, else None.

    Whoever gives the folder to somebody chooses where its links lead. * is as in `Path.glob`.
    """
    whole = folder.resolve()
    for name in names:
        for path in sorted(folder.glob(name)) if "*" in name else [folder / name]:
            if path.is_symlink() and not path.resolve().is_relative_to(whole):
                return (
                    f"{path} is a link out of {folder}, through which nothing is written: put what "
                    "it leads to in its place"
                )
    return None


def as_word(path: Path) -> str:
    """A path as a word of a command, where one that begins with "-" would be an option."""
    word = str(path)
    return f".{os.sep}{word}" if word.startswith("-") else word


def write_text(path: Path, text: str) -> None:
    """Replace a text file; bytes of a name that are no text (as Python has them) become codes."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file; NaN and infinity are refused, for JSON has no word for them."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


@final
class Busy(Exception):
    """Another process holds the lock. Callers say what that means."""


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`; the system lets go when the process ends, however it ends.

    Raises:
        Busy: another process holds it. Windows has no such lock here, and nothing is checked.
        OSError: the file can't be written, or is a link, which may lead anywhere.
    """
    how = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with open(path, "r+", opener=lambda name, _: os.open(name, how, 0o666)) as lock:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(path) from None
        yield
