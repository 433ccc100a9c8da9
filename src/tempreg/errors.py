"""The errors that a person at the command line is told about in a sentence.

Two kinds of our own, and memory that ran out, which libraries say in many ways. Everything else is
a bug and shows its traceback. Imports none of us, so that every layer can.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final


class RequestError(ValueError):
    """What was asked for can't be done as it stands. Subclassed by layer; exit code 2."""


@final
class PackageMissing(RequestError):
    """A package that this needs is not installed; the message names its extra."""


def to_install(extra: str) -> str:
    """How an extra's packages are installed, for a sentence. There is no release as yet, so that
    pip knows `tempreg` only as the folder of a clone: with one, this and `BY_PIP` change."""
    return f"{BY_PIP.format(extra=extra)} in your clone of tempreg"


BY_PIP = "pip install '.[{extra}]'"
"""The command, in the folder of a clone; the docs have it too, and a test compares them."""


class RunStopped(RuntimeError):
    """A run that began didn't end. Subclassed by reason."""

    exit_code = 1


_OUT_OF_MEMORY = (
    "can't allocate memory",
    "annot allocate memory",
    "std::bad_alloc",
    "failed to map segment from shared object",
    "can't start new thread",
)
"""In messages of torch's allocator, the system, C++, the loader of libraries, and Python."""
_ONEDNN = "could not create a primitive"
"""All that it says then; where it can't do what is asked, more words follow."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no more memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    told = isinstance(error, (RuntimeError, ImportError, OSError))
    said = str(error)
    return told and (said == _ONEDNN or any(words in said for words in _OUT_OF_MEMORY))


MOST_CHARACTERS = 1000


def one_line(text: object) -> str:
    """What a message says as one line that any terminal can show; a long one without its middle.

    What a file holds may be part of a message. Escape sequences and directions of writing in it
    become codes.
    """
    line = " ".join(str(text).split())
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    if len(line) > MOST_CHARACTERS:
        line = f"{line[: MOST_CHARACTERS // 2]} ... {line[-MOST_CHARACTERS // 2 :]}"
    return line


@contextmanager
def warnings_about(where: object) -> Iterator[None]:
    """The first warning of a library inside is given at the end of the block, with the file's name.

    Libraries don't name what they warn of, and have the more to say the less they can read. Where
    the block ends in an error, that says it.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    if said:
        warnings.warn(f"{where}: {one_line(said[0].message)}", said[0].category, stacklevel=4)
