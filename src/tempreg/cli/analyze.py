"""`tempreg analyze`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tempreg.cli.parser import Parser

QUANTITIES = ("gradients", "fisher", "flatness", "spikes", "anytime", "early", "curvature")
"""The names of `tempreg.run_analysis.ANALYSES`, which takes seconds to import."""


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg analyze",
        description="Analyse a finished run; its folder then holds analysis/*.json and *.svg.",
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="the run's folder")
    parser.add_argument("quantities", nargs="+", choices=(*QUANTITIES, "all"), metavar="QUANTITY",
                        help=f"{', '.join(QUANTITIES)} or all")  # fmt: skip
    parser.add_argument("--samples", type=int, default=256, help="how many (default 256)")
    parser.add_argument("--split", default="train", choices=("train", "validation", "test"))
    parser.add_argument("--seed", type=int, default=0, help="of samples and estimates")
    parser.add_argument("--batch-size", type=int, default=16, help="samples at once (default 16)")
    parser.add_argument("--brief", action="store_true",
                        help="only what a study compares arms by, with fewer draws")  # fmt: skip
    parser.add_argument("--device", help="auto, cpu or cuda (default: as trained)")
    args = parser.parse(words)

    from tempreg.run_analysis import analyze_run

    chosen = QUANTITIES if "all" in args.quantities else tuple(dict.fromkeys(args.quantities))
    results = analyze_run(
        args.run, chosen, samples=args.samples, split=args.split, seed=args.seed,
        chunk=args.batch_size, device=args.device, brief=args.brief,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )  # fmt: skip
    for name, result in results.items():
        print(f"\n{name}\n{result.table()}")
    print(f"\nfigures and numbers: {args.run / 'analysis'}")
    return 0
