"""`tempreg predict --until` and `--stream`: an answer as soon as it is sure."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from tempreg.cli.parser import whole
from tempreg.errors import RequestError, one_line

if TYPE_CHECKING:
    from tempreg.cli.events_in import Lines, Source
    from tempreg.runs.own.trust import Trust
    from tempreg.runs.predict import Predictor
    from tempreg.runs.stream import Answer, Stream

FASTEST = 1e6


def add_live(parser: argparse.ArgumentParser) -> None:
    """The command's words."""
    parser.add_argument(
        "--until",
        metavar="CONFIDENCE",
        help="answer at the first timestep that is as sure, in (0, 1]; or calibrated, as `tempreg "
        "calibrate` found",
    )
    parser.add_argument(
        "--stream",
        metavar="SOURCE",
        help="in place of files, events as they come: - for lines `t x y p` of standard input, "
        "tcp:PORT, udp:PORT, or a recording, which is played",
    )
    parser.add_argument(
        "--speed", type=float, help="of a recording that is played; 2 is twice as fast (default 1)"
    )
    parser.add_argument(
        "--sample-ms",
        type=float,
        metavar="MS",
        help="with --stream: how long a sample is (default: the middle of those trained on)",
    )
    parser.add_argument(
        "--sample-events",
        type=whole(1, 10**12),
        metavar="N",
        help="the same where frames are of equally many events",
    )


def until_of(text: str | None) -> Any:
    """What --until says, for `tempreg.Stream`."""
    if text is None or text == "calibrated":
        return text
    try:
        return float(text)
    except ValueError:
        raise RequestError(
            f"--until takes a number in (0, 1], or calibrated, not {text!r}"
        ) from None


@final
class Early:
    """Answers of files, of no more timesteps than it takes to be sure."""

    def __init__(self, run: Path, until: str, predict: Predictor, trust: bool | Trust) -> None:
        from tempreg.runs.stream import Stream

        self.predict = predict
        self.stream = Stream(run, until=until_of(until), trust_code=trust)

    def print(self, file: Path, args: argparse.Namespace) -> None:
        """The classes up to the answer; DataError where the file can't be read."""
        answers = list(self._answers(file))
        names = [self.predict.classes[int(answer.label)] for answer in answers]
        sure = [float(answer.confidence) for answer in answers]
        if args.json:
            told = {"classes": names, "confidences": sure, "answer": names[-1]}
            print(json.dumps({"file": str(file), **told, "timesteps": len(names)}))
            return
        print(one_line(file))
        for step, (name, confidence) in enumerate(zip(names, sure, strict=True), 1):
            mark = "  <- the answer" if step == len(names) else ""
            print(f"  timestep {step:>3}  {one_line(name)}  {confidence:.1%}{mark}")

    def _answers(self, file: Path) -> Iterator[Answer]:
        x = self.predict.reading.read(file, self.predict.options)
        frames = x if x.ndim == 5 else x.expand(self.stream.steps, *x.shape)
        self.stream.reset()
        for frame in frames:
            answer = self.stream.step(frame)
            yield answer
            if bool(answer.done):
                return


def run_live(args: argparse.Namespace, trust: bool | Trust) -> int:
    """Answer events as they come, until their end or Ctrl-C; returns the exit code."""
    from tempreg.cli.events_in import BrokenOff, Lines
    from tempreg.runs.predict import predictor
    from tempreg.runs.stream import Stream

    predict = predictor(args.run, trust_code=trust)
    stream = Stream(
        args.run,
        until=until_of(args.until),
        sample_ms=args.sample_ms,
        sample_events=args.sample_events,
        trust_code=trust,
    )
    if isinstance(stream.live, str):
        raise RequestError(f"--stream can't be for {stream.live}")
    lines, display = Lines(), _Display(predict.classes, json_lines=args.json)
    broken = None
    try:
        with closing(_source(args, predict, lines)) as source:
            for t, x, y, p in source:
                display.seen += len(t)
                for answer in stream.each(t, x, y, p):
                    display.show(answer, stream.live.ends[-1])
    except KeyboardInterrupt:
        pass  # how one that listens is ended
    except BrokenOff as error:
        broken = error
    rest = stream.finish()
    if rest is not None:
        display.show(rest, None)
    display.end(_dropped(stream, lines))
    if broken is not None:
        raise broken
    return 0


def _source(args: argparse.Namespace, predict: Predictor, lines: Lines) -> Source:
    from tempreg.cli.events_in import is_file, listening, played, standard_input

    if is_file(args.stream):
        speed = 1.0 if args.speed is None else args.speed
        if not 0 < speed <= FASTEST:
            raise RequestError(f"--speed must be in (0, {FASTEST:g}], got {speed:g}")
        return played(predict.reading.recording(Path(args.stream)), speed)
    if args.speed is not None:
        raise RequestError(f"--speed is for a recording that is played, not for {args.stream}")
    if args.stream == "-":
        return standard_input(lines)

    def told(what: str) -> None:
        print(f"tempreg: {what}", file=sys.stderr, flush=True)

    return listening(args.stream, lines, told)


def _dropped(stream: Stream, lines: Lines) -> dict[str, int]:
    assert not isinstance(stream.live, str)
    dropped = stream.live.dropped
    return {
        "datagrams that came too fast": lines.lost,
        "malformed lines": lines.malformed,
        "late": dropped.late,
        "outside of the sensor": dropped.outside,
        "times that the clock began again": dropped.restarts,
    }


@final
class _Display:
    """A line for each answer; on a terminal also one that is rewritten at each timestep."""

    def __init__(self, classes: tuple[str, ...], *, json_lines: bool) -> None:
        self.classes, self.json = classes, json_lines
        self.seen = self.answers = 0
        self._rewrites = sys.stdout.isatty() and not json_lines

    def show(self, answer: Answer, t: int | None) -> None:
        """After a timestep, which was over at `t`, in microseconds; None: with the source."""
        name, sure = self.classes[int(answer.label)], float(answer.confidence)
        step, final_ = int(answer.steps), bool(answer.done) or t is None
        if self.json and final_:
            told = {"t": t, "answer": name, "confidence": sure, "timesteps": step}
            print(json.dumps(told), flush=True)
        elif final_ or self._rewrites:
            at = "the end" if t is None else f"{t / 1e6:.3f} s"
            start = "\r\x1b[K" if self._rewrites else ""
            plural = "s" * (step != 1)
            line = f"{start}{at:>12}  {one_line(name)}  {sure:.1%}  after {step} timestep{plural}"
            print(line, end="\n" if final_ else "", flush=True)
        self.answers += final_

    def end(self, dropped: dict[str, int]) -> None:
        """What came, and what wasn't looked at, on standard error."""
        plural = "s" * (self.answers != 1)
        said = ", ".join(f"{what} {count:,}" for what, count in dropped.items() if count)
        more = f"; not looked at: {said}" if said else ""
        start = "\n" if self._rewrites else ""
        print(
            f"{start}tempreg: {self.seen:,} events, {self.answers:,} answer{plural}{more}",
            file=sys.stderr,
        )
