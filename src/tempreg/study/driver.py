"""Runs a study: every run a process of its own, several at once, resumable at any moment.

A run that is finished is never repeated; one that failed is recorded, reported, and tried
again when the study is. A study that is killed leaves runs that go on where they were.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tempreg.files import Busy, exclusive, write_json, write_text
from tempreg.study.plan import Plan, Run, StudyError, check_folder, write_plan
from tempreg.study.progress import StudyProgress
from tempreg.training.interrupt import Interrupted, StopRequest, stop_on_signal
from tempreg.training.run_directory import RunDirectory

POLL_SECONDS = 0.2
PR_SET_PDEATHSIG, SIGTERM = 1, 15


@dataclass
class Study:
    """A plan and its folder, being run. Final.

    Attributes:
        plan, root: what, and where.
        jobs: runs at once, >= 1; each gets its share of the cores, and its own GPU.
        progress: told about runs.
    """

    plan: Plan
    root: Path
    jobs: int
    progress: StudyProgress
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self) -> list[Run]:
        """Run whatever is missing; returns the runs that failed.

        Raises:
            StudyError: the folder holds something else, or another process works on it.
            Interrupted: a stop was asked for; running runs have saved their state.
        """
        check_folder(self.plan, self.root)
        with locked(self.root), stop_on_signal() as request, self.progress:
            write_plan(self.plan, self.root)
            trials = self.plan.trial_runs(self.root)
            total = len(trials) + len(self.plan.arms) * len(self.plan.replicates)
            self.progress.begin(total)
            failed = self._all(trials, request)
            self.chosen = choose(self.plan, trials)
            write_json(self.root / "chosen.json", self.chosen)
            return failed + self._all(self.plan.runs(self.root, self.chosen), request)

    def run_one(self, name: str) -> list[Run]:
        """Run a single run of a study whose plan is written, beside others; [it] if it failed.

        `name` is its folder within the study, as "runs/trt/000".

        Raises:
            StudyError: there is no such run, or trials that it depends on have not ended.
            Interrupted: a stop was asked for; the run has saved its state.
        """
        trials = self.plan.trial_runs(self.root)
        open_trials = [t for t in trials if not self._finished(t) and not failed_mark(t).exists()]
        self.chosen = choose(self.plan, trials)
        runs = {
            run.folder.relative_to(self.root).as_posix(): run
            for run in (*trials, *self.plan.runs(self.root, self.chosen))
        }
        if name not in runs:
            raise StudyError(
                f"the study in {self.root} has no run {name!r}: one is {next(iter(runs))}"
            )
        if open_trials and not runs[name].trial:
            waiting = open_trials[0].folder.relative_to(self.root).as_posix()
            raise StudyError(
                f"{name} depends on what the trials find, and {waiting} has not ended: run that "
                "first"
            )
        with stop_on_signal() as request, self.progress:
            self.progress.begin(1)
            return self._all([runs[name]], request)

    def _all(self, runs: Sequence[Run], request: StopRequest) -> list[Run]:
        waiting = [run for run in runs if not self._finished(run)]
        self.progress.skipped(len(runs) - len(waiting))
        running: dict[int, _Process] = {}
        failed: list[Run] = []
        try:
            while waiting or running:
                for slot in range(self.jobs):
                    free = next((run for run in waiting if is_free(run)), None)
                    if slot not in running and free is not None and not request.asked:
                        waiting.remove(free)
                        running[slot] = _Process(self, free, slot)
                time.sleep(POLL_SECONDS)
                for slot, process in list(running.items()):
                    if request.asked:
                        process.stop()
                    if process.ended(stopping=request.asked):
                        del running[slot]
                        if process.stopped:
                            waiting.append(process.run)
                        elif process.failure is not None:
                            failed.append(process.run)
                self.progress.update([process.run.folder for process in running.values()])
                if request.asked and not running and waiting:
                    raise Interrupted(
                        "stopped as asked, and all runs have saved their state: the same command "
                        "continues the study"
                    )
        finally:
            for process in running.values():
                process.stop()
        return failed

    def commands(self, run: Run) -> list[list[str]]:
        """What a run consists of, as command lines after `tempreg`: train, then analyse."""
        changes = [f"--{key}={_flag(value)}" for key, value in sorted(run.changes.items())]
        folder = str(run.folder)
        train = ["train", str(self.root / "base.yaml"), *changes, "--out", folder, "--resume"]
        if run.trial or not self.plan.analyses:
            return [train]
        samples = ["--samples", str(self.plan.samples), "--batch-size", "32"]
        return [train, ["analyze", folder, *self.plan.analyses, *samples, "--brief"]]

    def _finished(self, run: Run) -> bool:
        """Whether nothing is left to do; StudyError where a folder holds another run."""
        directory = RunDirectory(run.folder)
        if not directory.summary.exists() or failed_mark(run).exists():
            return False
        if run.trial or not self.plan.analyses:
            return True
        return done_mark(run).exists()


class _Process:
    """The commands of one run, one after the other. Final."""

    def __init__(self, study: Study, run: Run, slot: int) -> None:
        self.study, self.run, self.slot = study, run, slot
        self.failure: str | None = None
        self.stopped = False
        self._commands = study.commands(run)
        self._log: TextIO | None = None
        self._asked_to_stop = False
        self._start = time.monotonic()
        run.folder.parent.mkdir(parents=True, exist_ok=True)
        failed_mark(run).unlink(missing_ok=True)
        self._launch()

    def _launch(self) -> None:
        words = self._commands.pop(0)
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
        threads = str(max(1, (os.cpu_count() or 1) // self.study.jobs))
        environment = {"OMP_NUM_THREADS": threads, **os.environ}
        if self.study.jobs > 1:
            environment["OMP_NUM_THREADS"] = threads
            gpus = visible_gpus()
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = gpus[self.slot % len(gpus)]
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
        if code == 0:
            if not self.run.trial and self.study.plan.analyses:
                write_text(done_mark(self.run), " ".join(self.study.plan.analyses) + "\n")
        else:
            self.failure = last_words(log_file(self.run), code)
            write_text(failed_mark(self.run), self.failure + "\n")
        seconds = time.monotonic() - self._start
        self.study.progress.ended(self.run, self.failure, seconds)
        return True

    def stop(self) -> None:
        """Ask it, once, to save its state and end."""
        if self._process.poll() is None and not self._asked_to_stop:
            self._process.terminate()
            self._asked_to_stop = True


def choose(plan: Plan, trials: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """For each arm the candidate with the best validation accuracy averaged over timesteps.

    The first of equals; an arm without candidates changes nothing, nor do failed trials.
    """
    best: dict[str, tuple[float, dict[str, Any]]] = {}
    arms = {arm.name: arm for arm in plan.arms}
    for run in trials:
        directory = RunDirectory(run.folder)
        if not directory.summary.exists():
            continue
        score = float(directory.read_json(directory.summary)["val_mean_accuracy_over_steps"])
        if run.arm not in best or score > best[run.arm][0]:
            best[run.arm] = (score, plan.candidates(arms[run.arm])[int(run.replicate)])
    return {name: changes for name, (_, changes) in best.items()}


def is_free(run: Run) -> bool:
    """Whether no process trains in the run's folder: one may be left of a study that was killed."""
    path = run.folder / ".lock"
    try:
        if path.exists():
            with exclusive(path):
                pass
    except Busy:
        return False
    return True


def log_file(run: Run) -> Path:
    """Where the warnings and errors of a run's last command are."""
    return run.folder.with_name(run.folder.name + ".log")


def failed_mark(run: Run) -> Path:
    """The file that says why a run failed."""
    return run.folder.with_name(run.folder.name + ".failed")


def done_mark(run: Run) -> Path:
    """The file that says which analyses of a run are complete."""
    return run.folder.with_name(run.folder.name + ".analysed")


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


def command_line(words: Sequence[str]) -> str:
    """A command as a user would type it."""
    return shlex.join(["tempreg", *words])


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep other processes from running the same study; StudyError where one does."""
    with ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(root / ".lock"))
        except Busy:
            raise StudyError(
                f"another process works on the study in {root}: wait for it, or give another --out"
            ) from None
        except OSError as error:
            raise StudyError(
                f"the folder {root} can't be written to ({error.strerror}): give another --out"
            ) from None
        yield


def _die_with_parent() -> None:
    """Linux: a run is asked to stop when the process that drives the study is killed."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGTERM)


def _flag(value: Any) -> str:
    """A value as the command line takes it."""
    import json

    return value if isinstance(value, str) else json.dumps(value)
