"""One run of a study as processes of its own: trained, then analysed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO, final

from tempreg.files import write_text
from tempreg.study.plan.plan import Run, failed_mark
from tempreg.study.progress import Doing

PR_SET_PDEATHSIG, SIGTERM = 1, 15


@final
class Process:
    """The commands of one run, one after the other.

    Attributes:
        run: whose.
        failure: why it failed, in a sentence; None where it didn't, or goes on.
        stopped: whether it ended because the study did.
    """

    def __init__(
        self, run: Run, commands: Sequence[Sequence[str]], *, epochs: int, slot: int, jobs: int
    ) -> None:
        """Begin the first command.

        Args:
            commands: words after `tempreg`, at least one.
            epochs: of the run, for who watches it.
            slot, jobs: which of how many places it has.
        """
        self.run, self._slot, self._jobs = run, slot, jobs
        self.failure: str | None = None
        self.stopped = False
        self._epochs, self._phase = epochs, ""
        self._commands = [list(words) for words in commands]
        self._log: TextIO | None = None
        self._asked_to_stop = False
        self._start = time.monotonic()
        run.folder.parent.mkdir(parents=True, exist_ok=True)
        failed_mark(run).unlink(missing_ok=True)
        self._launch()

    def _launch(self) -> None:
        words = self._commands.pop(0)
        self._phase = words[0]
        log_file(self.run).unlink(missing_ok=True)  # it may be a link
        self._log = log_file(self.run).open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tempreg", *words],
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            env=self._environment(),
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )

    def _environment(self) -> dict[str, str]:
        threads = str(max(1, (os.cpu_count() or 1) // self._jobs))
        environment = {"OMP_NUM_THREADS": threads, **os.environ}
        environment["PYTHONSAFEPATH"] = "1"  # else -m finds modules in the current folder
        if self._jobs > 1:
            environment["OMP_NUM_THREADS"] = threads
            gpus = visible_gpus()
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = gpus[self._slot % len(gpus)]
        return environment

    def ended(self, *, stopping: bool) -> bool:
        """Whether the last command is done, or one has failed; begins the next one if not.

        While the study is `stopping`, a command that didn't succeed was stopped, not a failure.
        """
        code = self._process.poll()
        if code is None:
            return False
        assert self._log is not None
        self._log.close()
        self.stopped = stopping and (code != 0 or bool(self._commands))
        if self.stopped:
            return True
        if code == 0 and self._commands:
            self._launch()
            return False
        if code != 0:
            self.failure = last_words(log_file(self.run), code)
            write_text(failed_mark(self.run), self.failure + "\n")
        return True

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._start

    @property
    def doing(self) -> Doing:
        """What it does at the moment."""
        return Doing(self.run, self._phase, self._epochs)

    def stop(self) -> None:
        """Ask it, once, to save its state and end."""
        if self._process.poll() is None and not self._asked_to_stop:
            self._process.terminate()
            self._asked_to_stop = True


def log_file(run: Run) -> Path:
    """Where the warnings and errors of a run's last command are."""
    return run.folder.with_name(run.folder.name + ".log")


def last_words(log: Path, code: int) -> str:
    """Why a process ended, in a sentence."""
    lines = [
        line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
    ]
    said = [line for line in lines if line and not line.startswith("tempreg: warning")]
    if code < 0:
        return f"killed by signal {-code}" + (f" ({said[-1][:300]})" if said else "")
    return said[-1][:300] if said else f"ended with exit code {code}"


def visible_gpus() -> list[str]:
    """The GPUs that runs can be given, by their names in CUDA_VISIBLE_DEVICES."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]


def _die_with_parent() -> None:
    """Linux: a run is asked to stop when the process that drives the study is killed."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGTERM)
