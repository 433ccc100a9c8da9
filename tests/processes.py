"""`tempreg ...` in processes of their own, which begin with everything imported.

A process is forked from one that has imported the library and done nothing else, so that it costs
a tenth of a second where `python -m tempreg` costs several; from there on it is the same program:
its own memory, signals, environment, streams and exit code.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, final

import torch

from tempreg.cli.main import main

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tempreg.runs.fit", "torch._dynamo"])
LONGEST = 300.0
"""Seconds after which a command that was to end is killed, and the test has failed."""


@final
class Running:
    """A command that has begun; what it has of `subprocess.Popen` acts as it does there."""

    started: list[Running] = []  # noqa: RUF012

    def __init__(self, words: Sequence[str], folder: Path, **environment: str) -> None:
        self._words, self._said = words, Path(tempfile.mkdtemp())
        told = (list(words), folder, {**os.environ, **environment}, self._said)
        self._process = FORKS.Process(target=_command, args=told)
        self._process.start()
        self.pid = self._process.pid or 0
        self.started.append(self)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait_for(self, stream: str, pattern: str) -> re.Match[str]:
        """Until it has said what is looked for on "output" or "errors"; how it was found."""
        deadline = time.monotonic() + LONGEST
        while True:
            over = self.poll() is not None
            told = (self._said / stream).read_text(encoding="utf-8") if self._begun else ""
            if found := re.search(pattern, told):
                return found
            assert not over, self.communicate()
            assert time.monotonic() < deadline, told
            time.sleep(0.02)

    @property
    def _begun(self) -> bool:
        return (self._said / "errors").exists()

    def communicate(self, timeout: float = LONGEST) -> tuple[str, str]:
        """What it said on standard output and standard error by its end."""
        self._process.join(timeout)
        over = self._process.exitcode is not None
        self._process.kill()
        self._process.join()
        texts = [(self._said / name).read_text(encoding="utf-8") for name in ("output", "errors")]
        shutil.rmtree(self._said)
        self.started.remove(self)
        if not over:
            raise subprocess.TimeoutExpired(list(self._words), timeout, *texts)
        return texts[0], texts[1]


def finished(
    words: Sequence[str], folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A command from beginning to end."""
    process = Running(words, folder, **environment)
    output, errors = process.communicate()
    code = process.returncode
    assert code is not None
    return subprocess.CompletedProcess(list(words), code, output, errors)


def end_all() -> None:
    """Ends what failed tests have left, for which Python would wait at its own end."""
    for process in list(Running.started):
        process.kill()
        process.communicate()


def _command(words: list[str], folder: Path, environment: dict[str, str], said: Path) -> NoReturn:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate((Path(os.devnull), said / "output", said / "errors")):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    )  # fmt: skip
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", torch.get_num_threads())))
    sys.argv = ["tempreg", *words]
    sys.exit(main())
