"""What a person sees of a study: one bar over all runs, or a line a run where there is no bar."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tempreg.study.plan.plan import Run
from tempreg.training.run_directory import RunDirectory

_TAIL = 20_000
"""Bytes of the end of metrics.jsonl: more than its last line."""


EVERY = 30.0
"""Seconds after which a log that is no terminal is told what goes on."""


@final
@dataclass(frozen=True)
class Doing:
    """A run that goes on.

    Attributes:
        phase: the command: "train" or "analyze".
        epochs: that it is trained for.
    """

    run: Run
    phase: str
    epochs: int

    def words(self) -> str:
        """Which run, and how far it has come."""
        if self.phase != "train":
            return f"{named(self.run)}: being analysed"
        done = last_epoch(RunDirectory(self.run.folder).metrics)
        if done >= self.epochs:
            return f"{named(self.run)}: being tested"
        return f"{named(self.run)}: epoch {done + 1} of {self.epochs}"


def named(run: Run) -> str:
    """A run as lines name it."""
    return f"{'trial ' if run.trial else ''}{run.arm} {run.replicate}"


def last_epoch(metrics: Path) -> int:
    """The last epoch that has ended, by a run's metrics.jsonl; 0 before the first."""
    try:
        with metrics.open("rb") as file:
            file.seek(max(0, metrics.stat().st_size - _TAIL))
            lines = file.read().split(b"\n")[:-1]
        return int(json.loads(lines[-1])["epoch"]) if lines else 0
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0  # it is being written


class StudyProgress:
    """A line for each run that ends, and now and then one of those that go on. Subclassed by
    `LiveStudyProgress`."""

    def __enter__(self) -> StudyProgress:
        return self

    def __exit__(self, *_: object) -> None:
        """The study ended, well or not; nothing to do by default."""

    def begin(self, trials: int, runs: int, jobs: int) -> None:
        """So many trials and runs in all, of which `jobs` go on at once."""
        self._left = {True: trials, False: runs}
        self._jobs, self._done = jobs, 0
        self._seconds: dict[bool, list[float]] = {True: [], False: []}
        self._said = time.monotonic()

    def more(self, count: int) -> None:
        """So many trials more than were known."""
        self._left[True] += count

    def skipped(self, runs: Sequence[Run]) -> None:
        """These were finished in an earlier session."""
        for run in runs:
            self._left[run.trial] -= 1
        self._done += len(runs)
        trials = sum(run.trial for run in runs)
        for count, word in ((trials, "trial"), (len(runs) - trials, "run")):
            if count:
                self.say(f"{count} {word}{' was' if count == 1 else 's were'} finished already")

    def ended(self, run: Run, failure: str | None, seconds: float) -> None:
        """A run is done or has failed."""
        self._left[run.trial] -= 1
        self._done += 1
        if failure is None:
            self._seconds[run.trial].append(seconds)
        outcome = f"FAILED: {failure}" if failure else "done"
        self.say(
            f"{self._done}/{self._total}  {named(run)}  {outcome}"
            f"  ({seconds:.0f} s, {self._remaining()} left)"
        )

    def update(self, doing: Sequence[Doing]) -> None:
        """This is going on; called a few times a second. A line of it every `EVERY` seconds."""
        if doing and time.monotonic() - self._said >= EVERY:
            self.say(f"  {'; '.join(d.words() for d in doing)}")

    def say(self, line: str) -> None:
        """Print a line."""
        self._said = time.monotonic()
        print(line, flush=True)

    @property
    def _total(self) -> int:
        return self._done + sum(self._left.values())

    def _remaining(self) -> str:
        """How long the rest will take: as long as those of this session took on average."""
        every = [s for known in self._seconds.values() for s in known]
        if not every:
            return "?"
        seconds = 0.0
        for trial, count in self._left.items():
            known = self._seconds[trial] or every
            seconds += count * sum(known) / len(known)
        minutes = round(seconds / self._jobs / 60)
        return f"{minutes // 60}:{minutes % 60:02d} h" if minutes >= 60 else f"{minutes} min"


@final
class LiveStudyProgress(StudyProgress):
    """The same lines above a bar that moves."""

    def __enter__(self) -> LiveStudyProgress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        # Without a thread of its own, for runs are forked from this process.
        self._progress = Progress(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            transient=True,
            auto_refresh=False,
        )
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, trials: int, runs: int, jobs: int) -> None:
        """Show the bar."""
        super().begin(trials, runs, jobs)
        self._task = self._progress.add_task("starting", total=self._total)

    def more(self, count: int) -> None:
        """Lengthen the bar."""
        super().more(count)
        self._progress.update(self._task, total=self._total)

    def update(self, doing: Sequence[Doing]) -> None:
        """Say what is running."""
        text = f"{'; '.join(d.words() for d in doing)}  {self._remaining()} left"
        self._progress.update(self._task, completed=self._done, description=text)
        self._progress.refresh()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(line, highlight=False, markup=False)


def study_progress() -> StudyProgress:
    """Live on a terminal, else a line a run."""
    live = sys.stdout is not None and sys.stdout.isatty()
    return LiveStudyProgress() if live else StudyProgress()
