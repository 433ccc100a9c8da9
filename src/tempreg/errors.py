"""The two kinds of errors that a person at the command line is told about in a sentence.

Everything else is a bug and shows its traceback. Imports nothing, so that every layer can.
"""

from __future__ import annotations


class RequestError(ValueError):
    """What was asked for can't be done as it stands. Subclassed by layer; exit code 2."""


class PackageMissing(RequestError):
    """A package that this needs is not installed; the message names its extra. Final."""


class RunStopped(RuntimeError):
    """A run that began didn't end. Subclassed by reason."""

    exit_code = 1
