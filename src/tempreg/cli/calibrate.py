"""`tempreg calibrate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tempreg.cli.parser import SEED, Parser
from tempreg.cli.trust import add_trust, trust_from


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg calibrate",
        description="Choose, on held-out samples, how sure a run's network must be to answer "
        "early, so that at most RISK of all answers are lost by it. Written to calibration.json in "
        "the run, which exports to C and tempreg.Stream use.",
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="the run's folder")
    parser.add_argument(
        "--risk",
        type=float,
        required=True,
        help="the most that may be lost: right after all timesteps, wrong when it answers; in (0, "
        "1), as 0.02",
    )
    parser.add_argument(
        "--delta",
        type=float,
        default=0.1,
        help="the share of calibrations that may miss the risk (default: 0.1)",
    )
    parser.add_argument(
        "--score",
        default="confidence",
        choices=("confidence", "entropy", "gap"),
        help="what the threshold is of: the largest probability, 1 less the normalised entropy, or "
        "the largest less the second largest",
    )
    parser.add_argument("--split", default="validation", choices=("validation", "test"))
    parser.add_argument("--seed", type=SEED, default=0, help="of which half tests the thresholds")
    add_trust(parser)
    args = parser.parse(words)

    from tempreg.analysis.exits import NEVER
    from tempreg.runs.calibrate import calibrate_run

    found = calibrate_run(
        args.run,
        risk=args.risk,
        delta=args.delta,
        score=args.score,
        split=args.split,
        seed=args.seed,
        trust_code=trust_from(args),
    )
    steps = len(found.temperatures)
    if found.threshold == NEVER:
        print(f"no threshold kept the risk at {found.risk:g}: it answers after {steps} timesteps")
    else:
        print(
            f"{found.score} from {found.threshold:.4f} on: answers after {found.mean_steps:.2f} of "
            f"{steps} timesteps, and loses {found.lost:.2%} of {found.samples} {args.split} samples"
        )
    print(
        f"the risk is at most {found.risk:g} in all but {found.delta:g} of such calibrations; "
        f"written to {args.run / 'calibration.json'}"
    )
    return 0
