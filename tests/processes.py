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
from collections.abc import Mapping, Sequence
from multiprocessing.context import BaseContext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, NoReturn, final

import pytest
import torch

from tempreg.cli.main import main
from tempreg.runs import analyze as of_analyses
from tempreg.study import process as of_study

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tempreg.runs.analyze", "tempreg.runs.fit", "torch._dynamo"])
LONGEST = 300.0
"""Seconds after which a command that was to end is killed, and the test has failed."""


@final
class Running:
    """A command that has begun; what it has of `subprocess.Popen` acts as it does there."""

    started: list[Running] = []  # noqa: RUF012

    def __init__(self, words: Sequence[str], folder: Path, **environment: str) -> None:
        self._words, self._said = words, Path(tempfile.mkdtemp())
        places = (self._said / "output", self._said / "errors")
        told = (list(words), folder, {**os.environ, **environment}, *places)
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


@final
class Forked:
    """In place of subprocess.Popen of `python -m tempreg WORDS`, as a study begins its runs."""

    context: ClassVar[BaseContext] = FORKS

    def __init__(
        self, words: Sequence[str], *, stderr: Any, env: Mapping[str, str], **_: Any
    ) -> None:
        assert list(words[:3]) == [sys.executable, "-m", "tempreg"]
        errors = Path(stderr.name).absolute()
        told = (list(words[3:]), Path.cwd(), dict(env), Path(os.devnull), errors)
        self._process = self.context.Process(target=_command, args=told)  # type: ignore[attr-defined]
        self._process.start()

    def poll(self) -> int | None:
        """The exit code, or minus the signal's number, once it has ended."""
        return self._process.exitcode

    def terminate(self) -> None:
        """By SIGTERM."""
        self._process.terminate()


def studies_forked(patch: pytest.MonkeyPatch) -> None:
    """Studies of this process fork their runs, each of which costs seconds to start otherwise.

    So do those of a `Running`, unless it is told STUDIES="as they are".
    """
    forked = SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL)
    patch.setattr(of_study, "subprocess", forked)


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Analyses of this process, and of commands begun from now on, leave empty pictures: drawing
    costs more than all that a small network's analyses compute."""
    patch.setenv("PICTURES", "none")
    patch.setattr(of_analyses, "save_figure", lambda _, path: path.write_text("<svg></svg>"))


def _command(
    words: list[str], folder: Path, environment: dict[str, str], output: Path, errors: Path
) -> NoReturn:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate((Path(os.devnull), output, errors)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)  # what another command had may be closed behind it
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", torch.get_num_threads())))
    if environment.get("PICTURES") == "none":
        draw_nothing(pytest.MonkeyPatch())
    if words[:1] == ["compare"] and environment.get("STUDIES") != "as they are":
        Forked.context = multiprocessing.get_context("fork")
        studies_forked(pytest.MonkeyPatch())
    if Forked.context is not FORKS and words[:1] != ["compare"]:
        of_study._die_with_parent()
    sys.argv = ["tempreg", *words]
    sys.exit(main())
