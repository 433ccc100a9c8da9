"""Ctrl-C and SIGTERM as a wish to stop soon, at a place from where the run can go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import final

from tempreg.errors import RunStopped


@final
class Interrupted(RunStopped):
    """A run that stopped because it was asked to, after saving its state."""

    exit_code = 130


@final
class StopRequest:
    """Whether a stop was asked for."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """The first SIGINT or SIGTERM sets `asked`; a second one acts as it would have.

    Outside the main thread, where Python allows no handlers, signals act as usual.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    names = (signal.SIGINT, signal.SIGTERM)
    before = {name: signal.getsignal(name) for name in names}

    def handler(number: int, frame: FrameType | None) -> None:
        request.asked = True
        for name in names:
            signal.signal(name, before[name])

    for name in names:
        signal.signal(name, handler)
    try:
        yield request
    finally:
        for name in names:
            signal.signal(name, before[name])
