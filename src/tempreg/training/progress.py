"""What a person sees while a network trains: a live line, or plain ones where none can be."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any

from tempreg.training.evaluate import Evaluation


class Reporter(ABC):
    """Told about a run as it happens; a context manager around it. Subclass it to listen."""

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The run ended, well or not; nothing to do by default."""
        return

    def remark(self, text: str) -> None:
        """What a person should know before it begins; nothing to do by default."""
        return

    @abstractmethod
    def begin(self, epochs: int, samples: int, done: int) -> None:
        """`samples` in all epochs together, `done` of them in an earlier session."""

    @abstractmethod
    def step(self, samples: int, running: Evaluation) -> None:
        """A batch of `samples` was trained on; `running` is the epoch so far."""

    @abstractmethod
    def epoch(self, number: int, train: Evaluation, validation: Evaluation, best: bool) -> None:
        """Epoch `number` (from 1) ended."""


class Silent(Reporter):
    """Says nothing. Final."""

    def begin(self, epochs: int, samples: int, done: int) -> None:
        """Nothing."""

    def step(self, samples: int, running: Evaluation) -> None:
        """Nothing."""

    def epoch(self, number: int, train: Evaluation, validation: Evaluation, best: bool) -> None:
        """Nothing."""


class Plain(Reporter):
    """One line an epoch on standard output. Subclassed by `Live`."""

    def remark(self, text: str) -> None:
        """A line."""
        print(text, flush=True)

    def begin(self, epochs: int, samples: int, done: int) -> None:
        """Start the clock."""
        self._epochs, self._samples = epochs, samples
        self._left, self._trained, self._start = samples - done, 0, time.monotonic()

    def step(self, samples: int, running: Evaluation) -> None:
        """Count."""
        self._trained += samples
        self._left -= samples

    def epoch(self, number: int, train: Evaluation, validation: Evaluation, best: bool) -> None:
        """The line."""
        rate = self._rate()
        left = _duration(self._left / rate) if rate > 0 else "?"
        self._say(
            f"epoch {number:>{len(str(self._epochs))}}/{self._epochs}"
            f"  loss {train.loss:.4f}  accuracy {train.accuracy:6.2%}"
            f"  validation {validation.accuracy:6.2%}{' *' if best else '  '}"
            f"  {rate:.0f} samples/s  {left} left"
        )

    def _rate(self) -> float:
        """Samples a second in this session; 0 before the first batch."""
        return self._trained / max(time.monotonic() - self._start, 1e-9)

    def _say(self, line: str) -> None:
        print(line, flush=True)


class Live(Plain):
    """The same lines above a bar that moves with each batch. Final."""

    def __enter__(self) -> Live:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%  {task.description}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            transient=True,
        )
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def begin(self, epochs: int, samples: int, done: int) -> None:
        """Show the bar."""
        super().begin(epochs, samples, done)
        self._task = self._progress.add_task("starting", total=samples, completed=done)

    def step(self, samples: int, running: Evaluation) -> None:
        """Move the bar."""
        super().step(samples, running)
        text = (
            f"loss {running.loss:.4f}  accuracy {running.accuracy:6.2%}"
            f"  {self._rate():.0f} samples/s"
        )
        self._progress.update(self._task, advance=samples, description=text)

    def _say(self, line: str) -> None:
        self._progress.console.print(line, highlight=False, markup=False)


def reporter_for(stream: Any = None) -> Reporter:
    """`Live` on a terminal, `Plain` elsewhere, `Silent` where there is no standard output."""
    stream = sys.stdout if stream is None else stream
    if stream is None:
        return Silent()
    return Live() if stream.isatty() else Plain()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
