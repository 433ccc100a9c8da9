"""`tempreg evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tempreg.cli.parser import Parser
from tempreg.cli.tables import scores_table
from tempreg.cli.trust import add_trust, trust_from
from tempreg.errors import one_line


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg evaluate",
        description="Accuracy of a finished run at every timestep; of numbers, R^2 and errors.",
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="the run's folder")
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--batch-size", type=int, help="samples at once (default: as trained)")
    parser.add_argument("--num-steps", type=int, help="timesteps T (default: as trained)")
    parser.add_argument("--backend", help="how LIF neurons are run (default: as trained)")
    parser.add_argument("--conv", help="how convolutions are run (default: as trained)")
    parser.add_argument("--device", help="auto, cpu or cuda (default: as trained, or cpu)")
    parser.add_argument("--precision", help="of the arithmetic (default: as trained)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_trust(parser)
    args = parser.parse(words)

    import json
    from dataclasses import asdict

    from tempreg.cautions import CHOSEN_ON_TEST
    from tempreg.runs import cautions_of, chosen_on_test, evaluate_run

    names = ("batch_size", "num_steps", "backend", "conv", "device", "precision")
    changes = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    result = evaluate_run(args.run, args.split, trust_code=trust_from(args), **changes)
    marked = args.split == "test" and chosen_on_test(args.run)
    cautions = cautions_of(args.run) if args.split != "train" else []
    if args.json:
        mark = {"chosen_on_test": True, "caution": CHOSEN_ON_TEST} if marked else {}
        mark |= {"cautions": cautions} if cautions else {}
        told = {"split": args.split, result.NAME: result.score, **asdict(result), **mark}
        print(json.dumps(told))
    else:
        print(scores_table(args.split, result.measured()))
        terms = "".join(f"  {one_line(name)} {value:.4f}" for name, value in result.terms.items())
        print(f"loss {result.loss:.4f}  ={terms}")
        for caution in (*cautions, *([CHOSEN_ON_TEST] if marked else ())):
            print(one_line(caution))
    return 0
