"""`tempreg predict`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tempreg.cli.parser import Parser
from tempreg.errors import one_line


def run(words: Sequence[str]) -> int:
    """The command; returns 0, or 1 where some file couldn't be read."""
    parser = Parser(
        prog="tempreg predict",
        description="Class and confidence of images or recordings at every timestep. Files that "
        "can't be read are named, the others answered; the exit code is then 1.",
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="the folder of a finished run")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="what to classify")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    args = parser.parse(words)

    import json
    from dataclasses import asdict

    from tempreg.data import DataError
    from tempreg.prediction import predictor

    predict = predictor(args.run)
    failed = False
    for file in args.files:
        try:
            prediction = predict(file)
        except DataError as error:
            print(f"tempreg: error: {one_line(error)}", file=sys.stderr)
            failed = True
            continue
        if args.json:
            print(json.dumps({"file": str(file), **asdict(prediction)}))
            continue
        print(file)
        pairs = zip(prediction.classes, prediction.confidences, strict=True)
        for step, (name, confidence) in enumerate(pairs, 1):
            print(f"  timestep {step:>3}  {one_line(name)}  {confidence:.1%}")
    return 1 if failed else 0
