"""How a command ends before its time: by a signal, or by an error that is told in a sentence."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tempreg.errors import RequestError, RunStopped, out_of_memory


@contextmanager
def stoppable(*, whole_process: bool) -> Iterator[None]:
    """SIGTERM interrupts as Ctrl-C does, with KeyboardInterrupt, and so leaves nothing half-done.

    Afterwards signals act as before; in a `whole_process`, which then has nothing left to lose,
    they end it without a word. Outside the main thread, where Python allows no handlers, and where
    somebody else handles SIGTERM, nothing changes.
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if whole_process and signal.getsignal(signal.SIGINT) == signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def sentence(error: Exception) -> tuple[str, int] | None:
    """What a person is told of an error, and the exit code; None where it is a bug."""
    if isinstance(error, RequestError):
        return f"error: {error}", 2
    if isinstance(error, RunStopped):
        return str(error), error.exit_code
    if out_of_memory(error):
        said = str(error).strip().splitlines()
        why = f" ({said[0][:200]})" if said else ""
        return f"there is not enough memory{why}: smaller batches, or fewer at once, need less", 1
    if isinstance(error, OSError):  # a disk that is full, a folder that may not be written to
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{place}", 1
    return None
