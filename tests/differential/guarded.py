"""A decoder in a process of its own, which is ended where it doesn't end by itself."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SECONDS = 3.0
"""For a recording of a few hundred bytes."""


class NoAnswer(Exception):
    """It ran on, or ended the process."""


class Guarded:
    """Calls `decode` with paths, one after another."""

    def __init__(self, decode: Callable[[Path], NDArray[np.int64]]) -> None:
        self._decode = decode
        self._child: BaseProcess | None = None
        self._pipe: Connection | None = None

    def __call__(self, path: Path) -> NDArray[np.int64]:
        """Events; RuntimeError for what it raised, NoAnswer where there is none.

        What it raised counts if it does so in a new process too: expelliarmus refuses what it can
        read once it has refused something.
        """
        found = self._asked(path)
        if isinstance(found, str):
            self._end()
            found = self._asked(path)
        if isinstance(found, str):
            raise RuntimeError(found)
        return found

    def _asked(self, path: Path) -> NDArray[np.int64] | str:
        if self._child is None or self._pipe is None:
            context = multiprocessing.get_context("fork")
            self._pipe, other = context.Pipe()
            self._child = context.Process(target=self._serve, args=(other,), daemon=True)
            self._child.start()
            other.close()
        self._pipe.send(path)
        try:
            if self._pipe.poll(SECONDS):
                answer: NDArray[np.int64] | str = self._pipe.recv()
                return answer
        except EOFError:
            pass
        self._end()
        raise NoAnswer("no answer")

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.join()
        self._child = None

    def _serve(self, pipe: Connection) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        while True:
            path = pipe.recv()
            try:
                pipe.send(self._decode(path))
            except Exception as error:  # noqa: BLE001 - other libraries' errors
                pipe.send(f"{type(error).__name__}: {error}")
