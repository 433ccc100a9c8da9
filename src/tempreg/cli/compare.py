"""`tempreg compare`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempreg.cli.analyze import QUANTITIES
from tempreg.cli.parser import Parser, add_settings, config_from, settings_in

if TYPE_CHECKING:
    from tempreg.study.collect import Row
    from tempreg.study.plan import Plan

OBJECTIVES = (
    "rate,step,step+mse,step+l2,step+mse+l2,step+trt,trt,tet,smooth,anytime,anytime+kd,anytime+trt"
)


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code: 1 where a run failed."""
    parser = Parser(
        prog="tempreg compare",
        description="Train several objectives on the same data, network, seeds and budget, and "
        "report how they differ. The same command continues a study that was stopped.",
    )
    parser.add_argument(
        "source", nargs="?", metavar="PRESET|FILE.yaml", help="settings that all runs share"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the study's folder")
    parser.add_argument(
        "--objectives",
        default=OBJECTIVES,
        metavar="ARM,...",
        help="arms: an objective, with settings as trt@lam=1e-3, with a name of its own as "
        "again=step (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=int, default=10, help="runs an arm (default: 10)")
    parser.add_argument("--reference", help="arm the others are compared with (default: the first)")
    parser.add_argument(
        "--trials",
        type=int,
        default=0,
        help="values of its own setting that each arm may try on validation (default: 0)",
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
    parser.add_argument(
        "--analyses",
        default="gradients,fisher,flatness,spikes",
        metavar="QUANTITY,...",
        help="what is analysed of each run, or none (default: %(default)s)",
    )
    parser.add_argument(
        "--samples", type=int, default=64, help="samples of each analysis (default: 64)"
    )
    parser.add_argument(
        "--jobs", type=int, help="runs at once (default: as many as cores, or GPUs)"
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
    add_settings(parser, without=("objective.name", "seed"))
    args = parser.parse(words)
    if args.only is not None:
        if args.source is not None or args.slurm or settings_in(args):
            parser.error("--only goes with --out alone, for the study there has its settings")
        return _only(args.only, args.out)
    if args.source is None:
        parser.error("name a preset or a .yaml file")
    if args.sbatch and not args.slurm:
        parser.error("--sbatch is for the job files of --slurm")
    if any("\n" in option for option in args.sbatch):
        parser.error("--sbatch takes one option, on one line; give it several times for several")
    config = config_from(args.source, args)

    from tempreg.config import ConfigError
    from tempreg.study.arms import parse_arms, swept
    from tempreg.study.driver import Study, command_line, locked, visible_gpus
    from tempreg.study.plan import check_first_runs, check_folder, make_plan, write_plan
    from tempreg.study.progress import study_progress
    from tempreg.study.slurm import write_jobs

    arms = swept(parse_arms(args.objectives), args.sweep)
    analyses = () if args.analyses == "none" else tuple(args.analyses.split(","))
    for name in analyses:
        if name not in QUANTITIES:
            raise ConfigError(f"unknown analysis {name!r}: choose of {', '.join(QUANTITIES)}")
    if args.samples < 1:
        raise ConfigError(f"--samples must be >= 1, got {args.samples}")
    if "fisher" in analyses and not config.fisher_every:
        config = replace(config, fisher_every=config.epochs)  # after the first epoch and the last
    plan = make_plan(
        args.source,
        config,
        arms,
        args.seeds,
        reference=args.reference or arms[0].name,
        trials=args.trials,
        search=tuple(args.search),
        analyses=analyses,
        samples=args.samples,
        command=command_line(["compare", *words]),
    )
    check_first_runs(plan)
    if args.slurm:
        check_folder(plan, args.out)
        with locked(args.out):
            write_plan(plan, args.out)
            submit = write_jobs(plan, args.out, options=args.sbatch, jobs=args.jobs)
        print(f"submit it with: bash {shlex.quote(str(submit))}")
        return 0
    jobs = args.jobs or len(visible_gpus()) or os.cpu_count() or 1
    study = Study(plan, args.out, jobs, study_progress())
    failed = study.run()
    _report(plan, args.out, study.chosen)
    return 1 if failed else 0


def _report(plan: Plan, root: Path, chosen: dict[str, dict[str, Any]]) -> list[Row]:
    """Gather the results, write the report, and say where; returns a row a run."""
    from tempreg.study.collect import collect, write_results
    from tempreg.study.report import write_study_report

    rows = collect(plan, root, chosen)
    write_results(rows, root)
    for path in write_study_report(root):
        print(path)
    return rows


def _only(name: str, root: Path) -> int:
    """One run of a study, or its report; the exit code is 1 where a run failed or is missing."""
    from tempreg.files import write_json
    from tempreg.study.driver import Study, choose, locked
    from tempreg.study.plan import read_plan
    from tempreg.study.progress import study_progress
    from tempreg.study.slurm import REPORT

    plan = read_plan(root)
    if name != REPORT:
        return 1 if Study(plan, root, 1, study_progress()).run_one(name) else 0
    with locked(root):
        chosen = choose(plan, plan.trial_runs(root))
        write_json(root / "chosen.json", chosen)
        rows = _report(plan, root, chosen)
    return 0 if all(row["status"] == "finished" for row in rows) else 1
