"""`tempreg compare`."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tempreg.cli.parser import Parser, add_settings, settings_in, whole
from tempreg.cli.planned import ANALYSES, OBJECTIVES, SEEDS, planned
from tempreg.cli.report import reported
from tempreg.cli.trust import add_trust, trust_from, trust_in_comparison

if TYPE_CHECKING:
    from tempreg.runs.own.trust import Trust
    from tempreg.study.plan.plan import Plan

EXAMPLES = """\
tempreg compare nmnist-trt --objectives rate,trt --seeds 5 --out studies/first
tempreg compare nmnist-trt --objectives trt --sweep lam=1e-4,1e-3 --out studies/lam
tempreg compare --out studies/first                                # go on with it
tempreg compare --out studies/first --seeds 10 --add tet           # let it grow"""


def _parser() -> Parser:
    parser = Parser(
        prog="tempreg compare",
        description="Train several objectives on the same data, network, seeds and budget, and "
        "report how they differ. The same command continues a study that was stopped, and so does "
        "--out alone; with --seeds, --add or --analyses it grows, and nothing is run again.",
        examples=EXAMPLES,
        add_help=False,
    )
    parser.add_argument(
        "source",
        nargs="?",
        metavar="PRESET|FILE.yaml",
        help="settings that all runs share; of a study that has begun, its own",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the study's folder")
    parser.add_argument(
        "--objectives",
        metavar="ARM,...",
        help="arms: an objective, with settings as trt@lam=1e-3, with a name of its own as "
        f"again=step (default: {OBJECTIVES})",
    )
    parser.add_argument(
        "--add", metavar="ARM,...", help="arms that come to the study in --out, which has begun"
    )
    parser.add_argument(
        "--seeds",
        type=whole(1, 10_000),
        help=f"runs an arm (default: {SEEDS}); of a study that has begun, how many it grows to",
    )
    parser.add_argument("--reference", help="arm the others are compared with (default: the first)")
    _add_trials(parser)
    _add_analyses(parser)
    _add_running(parser)
    add_trust(parser)
    arms = "--objectives names those that are compared"
    seeds = "--seeds says how many runs an arm has"
    add_settings(parser, without={"objective.name": arms, "seed": seeds})
    return parser


def _add_trials(parser: Parser) -> None:
    """What each arm's own settings are chosen by."""
    parser.add_argument(
        "--trials",
        type=whole(0, 1000),
        help="values of its own setting that each arm may try on validation (default: 0)",
    )
    parser.add_argument(
        "--trial-seeds", type=whole(1, 1000), help="how often each is tried (default: 2)"
    )
    parser.add_argument(
        "--trial-epochs",
        type=whole(1, 1_000_000),
        help="epochs of each trial (default: as many as of a run)",
    )
    parser.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="SETTING=LOW..HIGH",
        help="what the trials are drawn from instead, as lam=1e-6..1e-2; several are searched "
        "together",
    )
    parser.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="SETTING=VALUE,...",
        help="run each arm at each of these values, as lam=1e-5,1e-4; several make a grid",
    )


def _add_analyses(parser: Parser) -> None:
    """What is measured of each run when it is trained."""
    parser.add_argument(
        "--analyses",
        metavar="QUANTITY,...",
        help=f"what is analysed of each run, or none (default: {ANALYSES}); of a study that has "
        "begun, what is analysed beside",
    )
    parser.add_argument(
        "--samples",
        type=whole(1, 1_000_000),
        help="samples of each analysis (default: 1024)",
    )
    parser.add_argument(
        "--draws", type=whole(1, 10_000), help="of the weight noise, at each strength (default: 20)"
    )


def _add_running(parser: Parser) -> None:
    """How the study is run, which changes nothing of what comes out."""
    parser.add_argument(
        "--jobs", type=whole(1, 1000), help="runs at once (default: as many as cores, or GPUs)"
    )
    parser.add_argument(
        "--slurm",
        action="store_true",
        help="run nothing, but write job files for SLURM: an array task a run, then the report; "
        "--jobs is how many may run at once",
    )
    parser.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="with --slurm: an option of sbatch for each run, as gres=gpu:1 or time=2:00:00",
    )
    parser.add_argument(
        "--only",
        metavar="RUN",
        help="of the study in --out, whose settings count, run one run, as runs/trt/000, or none "
        "and make the report: report",
    )


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code: 1 where a run failed."""
    parser = _parser()
    args = parser.parse(words)
    if args.only is not None:
        if args.source is not None or args.slurm or settings_in(args):
            parser.error("--only goes with --out alone, for the study there has its settings")
        return _only(args.only, args.out, trust_from(args))
    if args.sbatch and not args.slurm:
        parser.error("--sbatch is for the job files of --slurm")
    if any("\n" in option for option in args.sbatch):
        parser.error("--sbatch takes one option, on one line; give it several times for several")
    plan = planned(args, words)

    from tempreg.study.announced import plan_lines
    from tempreg.study.driver import Study
    from tempreg.study.process import visible_gpus
    from tempreg.study.progress import study_progress

    if args.slurm:
        return _write_jobs(plan, args)
    jobs = args.jobs or len(visible_gpus()) or os.cpu_count() or 1
    for line in plan_lines(plan, args.out, jobs):
        print(line, flush=True)
    study = Study(plan, args.out, jobs, study_progress(), trust_in_comparison(args))
    failed = study.run()
    reported(plan, args.out, study.chosen)
    return 1 if failed else 0


def _write_jobs(plan: Plan, args: argparse.Namespace) -> int:
    from tempreg.files import as_word
    from tempreg.study.driver import locked
    from tempreg.study.plan.growing import check_folder, write_plan
    from tempreg.study.slurm import write_jobs

    check_folder(plan, args.out)
    with locked(args.out):
        write_plan(plan, args.out)
        trust = trust_in_comparison(args)
        submit = write_jobs(plan, args.out, options=args.sbatch, jobs=args.jobs, trust=trust)
    print(f"submit it with: bash {shlex.quote(as_word(submit))}")
    return 0


def _only(name: str, root: Path, trust: Trust) -> int:
    """One run of a study, or its report; the exit code is 1 where a run failed or is missing."""
    from tempreg.study.driver import Study, decided, locked
    from tempreg.study.plan.plan import read_plan
    from tempreg.study.progress import study_progress
    from tempreg.study.slurm import REPORT

    plan = read_plan(root)
    if name != REPORT:
        return 1 if Study(plan, root, 1, study_progress(), trust).run_one(name) else 0
    with locked(root):
        rows = reported(plan, root, decided(plan, root))
    return 0 if all(row["status"] == "finished" for row in rows) else 1
