"""What a person sees of a study: one bar over all runs, or a line a run where there is no bar."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tempreg.study.plan import Run


class StudyProgress:
    """A line for each run that ends. Subclassed by `LiveStudyProgress`."""

    def __enter__(self) -> StudyProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The study ended, well or not; nothing to do by default."""
        return

    def begin(self, total: int) -> None:
        """So many runs in all."""
        self._total, self._done, self._here = total, 0, 0
        self._start = time.monotonic()

    def skipped(self, count: int) -> None:
        """So many were finished in an earlier session."""
        self._done += count
        if count:
            self.say(f"{count} runs were finished already")

    def ended(self, run: Run, failure: str | None, seconds: float) -> None:
        """A run is done or has failed."""
        self._done += 1
        self._here += 1
        kind = "trial " if run.trial else ""
        outcome = f"FAILED: {failure}" if failure else "done"
        self.say(
            f"{self._done}/{self._total}  {kind}{run.arm} {run.replicate}  {outcome}"
            f"  ({seconds:.0f} s, {self._left()} left)"
        )

    def update(self, running: list[Path]) -> None:
        """These runs are being trained; called a few times a second."""
        return

    def say(self, line: str) -> None:
        """Print a line."""
        print(line, flush=True)

    def _left(self) -> str:
        """How long the rest will take, at the pace of this session."""
        if not self._here:
            return "?"
        pace = (time.monotonic() - self._start) / self._here
        minutes = round(pace * (self._total - self._done) / 60)
        return f"{minutes // 60}:{minutes % 60:02d} h" if minutes >= 60 else f"{minutes} min"


class LiveStudyProgress(StudyProgress):
    """The same lines above a bar that moves. Final."""

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

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def begin(self, total: int) -> None:
        """Show the bar."""
        super().begin(total)
        self._task = self._progress.add_task("starting", total=total)

    def update(self, running: list[Path]) -> None:
        """Say what is running."""
        names = ", ".join(f"{path.parent.name}/{path.name}" for path in running)
        text = f"{names}  {self._left()} left"
        self._progress.update(self._task, completed=self._done, description=text)
        self._progress.refresh()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(line, highlight=False, markup=False)


def study_progress() -> StudyProgress:
    """Live on a terminal, else a line a run."""
    return (
        LiveStudyProgress() if sys.stdout is not None and sys.stdout.isatty() else StudyProgress()
    )
