"""Runs a study: every run a process of its own, several at once, resumable at any moment.

A run that is finished is never repeated; one that failed is recorded, reported, and tried
again when the study is. A study that is killed leaves runs that go on where they were.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from tempreg.files import Busy, as_word, exclusive, link_out, write_json, write_text
from tempreg.runs.own.trust import NOTHING, Trust, trust_flags
from tempreg.study.analysed import left_to_analyse, note_analysed
from tempreg.study.files import BASE, CHOSEN, TRIALS
from tempreg.study.plan.growing import check_folder, write_plan
from tempreg.study.plan.plan import Plan, Run, StudyError, failed_mark
from tempreg.study.plan.trials import Tried, choices, trials_table, tune
from tempreg.study.process import Process
from tempreg.study.progress import StudyProgress
from tempreg.training.interrupt import Interrupted, StopRequest, stop_on_signal
from tempreg.training.run_directory import RunDirectory

POLL_SECONDS = 0.2
_IN_PLACE = (
    ".lock",
    "runs",
    "trials",
    "slurm",
    "slurm/logs",
    "runs/*",
    "trials/*",
    "runs/*/*",
    "trials/*/*",
)
"""What isn't replaced as a whole when it is written to."""


@final
@dataclass
class Study:
    """A plan and its folder, being run.

    Attributes:
        plan, root: what, and where.
        jobs: runs at once, >= 1; each gets its share of the cores, and its own GPU.
        progress: told about runs.
        trust: code that runs may import, for a person named it: no more than its names are passed
            on to the commands, so that what files in the folder name beside is not run.
    """

    plan: Plan
    root: Path
    jobs: int
    progress: StudyProgress
    trust: Trust = NOTHING
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
            runs = len(self.plan.arms) * len(self.plan.replicates)
            self.progress.begin(len(self.plan.trial_runs(self.root)), runs, self.jobs)
            failed = self._tune(request)
            return failed + self._all(self.plan.runs(self.root, self.chosen), request)

    def _tune(self, request: StopRequest) -> list[Run]:
        """Run trials, round by round, until every arm has chosen; returns those that failed."""
        failed: dict[Path, Run] = {}
        asked: set[Path] = set()

        def ended(trial: Run) -> bool:
            return trial.folder in asked and _over(trial)

        while True:
            tried = tune(self.plan, self.root, ended)
            waiting = [run for each in tried for run in each.runs if run.folder not in asked]
            if not waiting:
                break
            if asked:
                self.progress.more(len(waiting))
            asked |= {run.folder for run in waiting}
            failed |= {run.folder: run for run in self._all(waiting, request)}
        self.chosen = write_choices(self.plan, self.root, tried)
        return list(failed.values())

    def run_one(self, name: str) -> list[Run]:
        """Run a single run of a study whose plan is written, beside others; [it] if it failed.

        `name` is its folder within the study, as "runs/trt/000".

        Raises:
            StudyError: there is no such run, or trials that it depends on have not ended.
            Interrupted: a stop was asked for; the run has saved its state.
        """
        tried = tune(self.plan, self.root, self._ended)
        trials = [run for each in tried for run in each.runs]
        open_trials = [trial for trial in trials if not self._ended(trial)]
        self.chosen = choices(tried)
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
            one = runs[name]
            self.progress.begin(int(one.trial), int(not one.trial), 1)
            return self._all([one], request)

    def _all(self, runs: Sequence[Run], request: StopRequest) -> list[Run]:
        waiting = [run for run in runs if not self._finished(run)]
        self.progress.skipped([run for run in runs if run not in waiting])
        running: dict[int, Process] = {}
        failed: list[Run] = []
        try:
            while waiting or running:
                for slot in range(self.jobs):
                    free = next((run for run in waiting if is_free(run)), None)
                    if slot not in running and free is not None and not request.asked:
                        waiting.remove(free)
                        running[slot] = self._begin(free, slot)
                time.sleep(POLL_SECONDS)
                for slot, process in list(running.items()):
                    if request.asked:
                        process.stop()
                    if process.ended(stopping=request.asked):
                        del running[slot]
                        if process.stopped:
                            waiting.append(process.run)
                            continue
                        if process.failure is not None:
                            failed.append(process.run)
                        self._end(process)
                self.progress.update([process.doing for process in running.values()])
                if request.asked and not running and waiting:
                    raise Interrupted(
                        "stopped as asked, and all runs have saved their state: the same command "
                        f"continues the study, and so does tempreg compare --out {self.root}"
                    )
        finally:
            for process in running.values():
                process.stop()
        return failed

    def _begin(self, run: Run, slot: int) -> Process:
        epochs = self.plan.config(run).epochs
        return Process(run, self.commands(run), epochs=epochs, slot=slot, jobs=self.jobs)

    def _end(self, process: Process) -> None:
        """Note what is complete, and tell."""
        run = process.run
        if process.failure is None and not run.trial and self.plan.analyses:
            note_analysed(self.plan, run)
        self.progress.ended(run, process.failure, process.seconds)

    def commands(self, run: Run) -> list[list[str]]:
        """What a run consists of, as command lines after `tempreg`: train, then analyse."""
        changes = [f"--{key}={_flag(value)}" for key, value in sorted(run.changes.items())]
        folder = as_word(run.folder)
        trusted = trust_flags(self.trust, self.plan.config(run))
        train = ["train", as_word(self.root / BASE), *changes, "--out", folder, "--resume"]
        train += trusted
        analyses = [] if run.trial else left_to_analyse(self.plan, run)
        if not analyses:
            return [train]
        counts = ["--samples", str(self.plan.samples), "--draws", str(self.plan.draws)]
        words = ["analyze", folder, *analyses, *counts, "--batch-size", "32", "--brief"]
        words += trusted
        if RunDirectory(run.folder).summary.exists() and not failed_mark(run).exists():
            return [words]
        return [train, words]

    def _ended(self, run: Run) -> bool:
        """Whether a run is finished or has failed."""
        return _over(run) if run.trial else failed_mark(run).exists() or self._finished(run)

    def _finished(self, run: Run) -> bool:
        """Whether nothing is left to do; StudyError where a folder holds another run."""
        directory = RunDirectory(run.folder)
        if not directory.summary.exists() or failed_mark(run).exists():
            return False
        return run.trial or not left_to_analyse(self.plan, run)


def decided(plan: Plan, root: Path) -> dict[str, dict[str, Any]]:
    """What each arm takes of what it tried, from the folders alone; written to chosen.json."""
    return write_choices(plan, root, tune(plan, root, _over))


def write_choices(plan: Plan, root: Path, tried: list[Tried]) -> dict[str, dict[str, Any]]:
    """Replace chosen.json and, where anything was tried, trials.csv; returns the former."""
    chosen = choices(tried)
    write_json(root / CHOSEN, chosen)
    if any(each.runs for each in tried):
        write_text(root / TRIALS, trials_table(plan, tried))
    return chosen


def _over(trial: Run) -> bool:
    return failed_mark(trial).exists() or RunDirectory(trial.folder).summary.exists()


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


def command_line(words: Sequence[str]) -> str:
    """A command as a user would type it."""
    return shlex.join(["tempreg", *words])


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep other processes from running the same study; StudyError where one does."""
    with ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            if told := link_out(root, _IN_PLACE):
                raise StudyError(told)
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


def _flag(value: Any) -> str:
    """A value as the command line takes it."""
    import json

    return value if isinstance(value, str) else json.dumps(value)
