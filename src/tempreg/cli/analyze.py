"""`tempreg analyze`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tempreg.cautions import CHOSEN_ON_TEST
from tempreg.cli.parser import SEED, Parser, whole
from tempreg.cli.trust import add_trust, trust_from

QUANTITIES = (
    "gradients",
    "fisher",
    "flatness",
    "spikes",
    "anytime",
    "early",
    "exits",
    "curvature",
)
"""The names of `tempreg.runs.analyze.ANALYSES`, which takes seconds to import."""

ESTIMATORS, LABELS = ("exact", "signs", "batch"), ("true", "sampled")
"""Those of `tempreg.analysis.fisher`, likewise."""


def _parser() -> Parser:
    parser = Parser(
        prog="tempreg analyze",
        description="Analyse a finished run; its folder then holds analysis/*.json and *.svg.",
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="the run's folder")
    parser.add_argument(
        "quantities",
        nargs="+",
        choices=(*QUANTITIES, "all"),
        metavar="QUANTITY",
        help=f"{', '.join(QUANTITIES)} or all",
    )
    parser.add_argument(
        "--samples",
        type=whole(1, 1_000_000),
        default=256,
        help="how many (default 256)",
    )
    parser.add_argument("--split", default="train", choices=("train", "validation", "test"))
    parser.add_argument("--seed", type=SEED, default=0, help="of samples and estimates")
    parser.add_argument(
        "--batch-size",
        type=whole(1, 1_000_000),
        default=16,
        help="samples at once (default 16)",
    )
    parser.add_argument(
        "--estimator",
        default="exact",
        choices=ESTIMATORS,
        help="of the Fisher information: exact; signs, unbiased; or batch, as "
        "published, biased, over batches of --batch-size",
    )
    parser.add_argument(
        "--labels",
        default="true",
        choices=LABELS,
        help="of the Fisher information: true, or sampled from what the network predicts",
    )
    parser.add_argument(
        "--draws",
        type=whole(1, 10_000),
        help="of the weight noise, at each strength (default 5, brief 20)",
    )
    parser.add_argument(
        "--gains", action="store_true", help="flatness moves batch norm's gains with the weights"
    )
    parser.add_argument(
        "--brief",
        action="store_true",
        help="only what a study compares arms by: flatness on "
        "held-out samples, Fisher information after epoch 1 and at the end, in three ways",
    )
    parser.add_argument("--device", help="auto, cpu or cuda (default: as trained, or cpu)")
    add_trust(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    args = _parser().parse(words)

    from tempreg.errors import one_line
    from tempreg.runs import cautions_of
    from tempreg.runs.analyze import analyze_run

    chosen = QUANTITIES if "all" in args.quantities else tuple(dict.fromkeys(args.quantities))
    results = analyze_run(
        args.run,
        chosen,
        samples=args.samples,
        split=args.split,
        seed=args.seed,
        chunk=args.batch_size,
        device=args.device,
        brief=args.brief,
        estimator=args.estimator,
        labels=args.labels,
        draws=args.draws,
        gains=args.gains,
        trust_code=trust_from(args),
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )
    for name, result in results.items():
        print(f"\n{name}\n{result.table()}")
    if any(result.settings.get("chosen_on_test") for result in results.values()):
        print(f"\n{CHOSEN_ON_TEST}")
    if cautions := cautions_of(args.run):
        print("\n" + "\n".join(map(one_line, cautions)))
    print(f"\nfigures and numbers: {args.run / 'analysis'}")
    return 0
