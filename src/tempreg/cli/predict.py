"""`tempreg predict`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempreg.cli.live import Early, add_live, run_live
from tempreg.cli.parser import Parser, whole
from tempreg.cli.trust import add_trust, trust_from
from tempreg.errors import one_line

if TYPE_CHECKING:
    from tempreg.runs.predict import Predictor


def _parser(words: Sequence[str]) -> Parser:
    parser = Parser(
        prog="tempreg predict",
        description="Class and confidence of images or recordings at every timestep. Files that "
        "can't be read are named, the others answered; the exit code is then 1. Of a folder, all "
        "files of the run's kind are answered, a line each.",
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="the folder of a finished run")
    # Where none is a choice, argparse takes files behind an option for a mistake.
    some = "*" if any(word.startswith("--stream") for word in words) else "+"
    parser.add_argument("files", type=Path, nargs=some, metavar="FILE", help="files or folders")
    parser.add_argument(
        "--top",
        type=whole(1, 1_000_000),
        default=1,
        metavar="K",
        help="name the K likeliest",
    )
    parser.add_argument(
        "--window",
        type=float,
        metavar="MS",
        help="recordings: the class of each so many milliseconds, one after another",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    add_live(parser)
    add_trust(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """The command; returns 0, or 1 where some file couldn't be read."""
    parser = _parser(words)
    args = parser.parse(words)
    _check(parser, args)
    if args.stream is not None:
        return run_live(args, trust_from(args))

    from tempreg.data import DataError
    from tempreg.runs.predict import predictor

    predict = predictor(args.run, trust_code=trust_from(args))
    if predict.numbers and args.top > 1:
        parser.error("--top is of classes, and the run answers with numbers: leave it out")
    early = None
    if args.until is not None:
        early = Early(args.run, args.until, predict, trust_from(args))
    failed = False
    if args.window is not None and (doubt := predict.window_doubt(args.window)):
        print(f"tempreg: warning: {one_line(doubt)}", file=sys.stderr)
    for place in args.files:
        try:
            found, others = predict.files(place) if place.is_dir() else ([place], 0)
        except DataError as error:
            failed = _named(error)
            continue
        for file in found:
            try:
                if early is not None:
                    early.print(file, args)
                else:
                    _answer(predict, file, args, brief=place.is_dir())
            except DataError as error:
                failed = _named(error)
        if others:
            plural = "s" * (others != 1)
            print(f"tempreg: {one_line(place)}: {others} other file{plural}", file=sys.stderr)
    return 1 if failed else 0


def _check(parser: Parser, args: argparse.Namespace) -> None:
    """End with a sentence where words don't go together."""
    if args.stream is not None and args.files:
        parser.error("--stream is in place of files: leave these out")
    others = {
        "--speed": args.speed,
        "--sample-ms": args.sample_ms,
        "--sample-events": args.sample_events,
    }
    for name, given in others.items():
        if given is not None and args.stream is None:
            parser.error(f"{name} is for --stream")
    early = {"--until": args.until, "--stream": args.stream}
    for name, given in early.items():
        if given is not None and (args.window is not None or args.top != 1):
            parser.error(f"{name} doesn't go with --window or --top")


def _named(error: Exception) -> bool:
    print(f"tempreg: error: {one_line(error)}", file=sys.stderr)
    return True


def _answer(predict: Predictor, file: Path, args: argparse.Namespace, *, brief: bool) -> None:
    if args.window is not None:
        return _over_time(predict, file, args)
    answer = predict(file)
    for doubt in answer.doubts:
        print(f"tempreg: warning: {one_line(f'{file} {doubt}')}", file=sys.stderr)
    if args.json:
        print(json.dumps({"file": str(file), **_values(answer, args.top)}))
    elif brief:
        print(f"{one_line(file)}  {_last(answer, args.top)}")
    else:
        print(one_line(file))
        said = _by_step(answer)
        for step, words in enumerate(said, 1):
            mark = "  <- the answer" if step == len(said) else ""
            print(f"  timestep {step:>3}  {words}{mark}")
        if args.top > 1:
            print(f"  likeliest: {_last(answer, args.top)}")
    return None


def _over_time(predict: Predictor, file: Path, args: argparse.Namespace) -> None:
    """A line for each window, and, of classes, how often each was the answer."""
    seen: Counter[str] = Counter()
    if not args.json:
        print(one_line(file))
    for window in predict.windows(file, args.window):
        answer: Any = window.prediction
        if not predict.numbers:
            seen["no event" if answer is None else answer.ranking[0][0]] += 1
        if args.json:
            told = {} if answer is None else _values(answer, args.top)
            times = {"start": window.start, "end": window.end, "events": window.events}
            print(json.dumps({"file": str(file), **times, **told}))
            continue
        said = "no event" if answer is None else _last(answer, args.top)
        span = f"{window.start:>9.3f} to {window.end:.3f} s"
        print(f"  {span}  {said}  ({window.events:,} events)" if answer else f"  {span}  {said}")
    if seen and not args.json:
        total = sum(seen.values())
        shares = ", ".join(f"{one_line(n)} {c / total:.0%}" for n, c in seen.most_common())
        print(f"  of {total:,} windows: {shares}")


def _last(answer: Any, top: int) -> str:
    """After all timesteps: the likeliest classes, or the numbers."""
    if hasattr(answer, "values"):
        return _by_step(answer)[-1]
    return ", ".join(f"{one_line(name)} {share:.1%}" for name, share in answer.ranking[:top])


def _by_step(answer: Any) -> list[str]:
    """What it says after each timestep, in words."""
    if hasattr(answer, "values"):
        names = [one_line(name) for name in answer.names]
        return [
            ", ".join(f"{name} {value:.6g}" for name, value in zip(names, values, strict=True))
            for values in answer.values
        ]
    pairs = zip(answer.classes, answer.confidences, strict=True)
    return [f"{one_line(name)}  {confidence:.1%}" for name, confidence in pairs]


def _values(answer: Any, top: int) -> dict[str, Any]:
    values: dict[str, Any]
    if hasattr(answer, "values"):
        values = {"names": answer.names, "values": answer.values, "answer": answer.values[-1]}
    else:
        values = {"classes": answer.classes, "confidences": answer.confidences}
        values["answer"] = answer.ranking[0][0]
        if top > 1:
            values["top"] = answer.ranking[:top]
    if answer.doubts:
        values["doubts"] = answer.doubts
    return values
