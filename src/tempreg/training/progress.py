"""What a person sees while a network trains: a live line, or plain ones where none can be."""

from __future__ import annotations

import sys
import time
from typing import final

from tempreg.training.scored import Scored


class Reporter:
    """Told about a run as it happens; a context manager around it.

    Says nothing itself: subclass it to listen.
    """

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        """The run ended, well or not."""

    def remark(self, text: str) -> None:
        """What a person should know before it begins."""

    def begin(self, epochs: int, samples: int, done: int) -> None:
        """`samples` in all epochs together, `done` of them in an earlier session."""

    def step(self, samples: int, running: Scored) -> None:
        """A batch of `samples` was trained on; `running` is the epoch so far."""

    def epoch(self, number: int, train: Scored, validation: Scored | None, best: bool) -> None:
        """Epoch `number` (from 1) ended; `validation` is None where no data is held out."""

    def epoch_by_test(self, number: int, train: Scored, test: Scored, best: bool) -> None:
        """As `epoch`, where the epoch is chosen on the test split; by default, what `epoch` does.

        `epoch` is then told of no validation, and of none that is best.
        """
        self.epoch(number, train, None, False)


def named(found: Scored) -> str:
    """The score with its name."""
    return f"{WORDS[found.NAME]} {found.shown()}"


WORDS = {"accuracy": "accuracy", "r2": "R^2"}
"""Of the scores, for people."""
EVERY = 30.0
"""Seconds after which a log that is no terminal is told how far an epoch has come."""


class Plain(Reporter):
    """One line an epoch on standard output, and in a long one every half minute. Subclassed by
    `Live`."""

    def remark(self, text: str) -> None:
        """A line."""
        print(text, flush=True)

    def begin(self, epochs: int, samples: int, done: int) -> None:
        """Start the clock."""
        self._epochs, self._samples = epochs, samples
        self._left, self._trained, self._start = samples - done, 0, time.monotonic()
        self._within, self._said = done % max(samples // epochs, 1), self._start
        self._number = done // max(samples // epochs, 1) + 1

    def step(self, samples: int, running: Scored) -> None:
        """Count, and now and then say how far a long epoch has come."""
        self._trained += samples
        self._left -= samples
        self._within += samples
        if time.monotonic() - self._said >= EVERY:
            share = min(1.0, self._within * self._epochs / max(self._samples, 1))
            self._waiting(
                f"  epoch {self._number}, {share:.0%}  loss {running.loss:.4f}"
                f"  {named(running)}  {self._rate():.0f} samples/s"
            )

    def epoch(self, number: int, train: Scored, validation: Scored | None, best: bool) -> None:
        """The line."""
        shown = "" if validation is None else f"validation {validation.shown()}"
        self._line(number, train, shown, best)

    def epoch_by_test(self, number: int, train: Scored, test: Scored, best: bool) -> None:
        """The line, which says what is chosen by."""
        self._line(number, train, f"test (chosen on!) {test.shown()}", best)

    def _line(self, number: int, train: Scored, held_out: str, best: bool) -> None:
        rate = self._rate()
        left = _duration(self._left / rate) if rate > 0 else "?"
        self._number, self._within = number + 1, 0
        self._say(
            f"epoch {number:>{len(str(self._epochs))}}/{self._epochs}"
            f"  loss {train.loss:.4f}  {named(train)}"
            f"{f'  {held_out}' if held_out else ''}{' *' if best else '  '}"
            f"  {rate:.0f} samples/s  {left} left"
        )

    def _waiting(self, line: str) -> None:
        """A line within an epoch, of which a bar has no need."""
        self._said = time.monotonic()
        print(line, flush=True)

    def _rate(self) -> float:
        """Samples a second in this session; 0 before the first batch."""
        return self._trained / max(time.monotonic() - self._start, 1e-9)

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        print(line, flush=True)


@final
class Live(Plain):
    """The same lines above a bar that moves with each batch."""

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

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, epochs: int, samples: int, done: int) -> None:
        """Show the bar."""
        super().begin(epochs, samples, done)
        self._task = self._progress.add_task("starting", total=samples, completed=done)

    def step(self, samples: int, running: Scored) -> None:
        """Move the bar."""
        super().step(samples, running)
        text = f"loss {running.loss:.4f}  {named(running)}  {self._rate():.0f} samples/s"
        self._progress.update(self._task, advance=samples, description=text)

    def _waiting(self, line: str) -> None:
        """Nothing, for the bar has it."""

    def _say(self, line: str) -> None:
        self._progress.console.print(line, highlight=False, markup=False)


def reporter_for() -> Reporter:
    """`Live` on a terminal, `Plain` elsewhere; none speaks where there is no standard output."""
    if sys.stdout is None:
        return Reporter()
    return Live() if sys.stdout.isatty() else Plain()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
