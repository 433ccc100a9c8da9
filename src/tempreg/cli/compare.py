"""`tempreg compare`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tempreg.cli.analyze import QUANTITIES
from tempreg.cli.parser import Parser, add_settings, config_from

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
    parser.add_argument("source", metavar="PRESET|FILE.yaml", help="settings that all runs share")
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
    add_settings(parser, without=("objective.name", "seed"))
    args = parser.parse(words)
    config = config_from(args.source, args)

    from tempreg.config import ConfigError
    from tempreg.study.arms import parse_arms, swept
    from tempreg.study.collect import collect, write_results
    from tempreg.study.driver import Study, command_line, visible_gpus
    from tempreg.study.plan import check_first_runs, make_plan
    from tempreg.study.progress import study_progress
    from tempreg.study.report import write_study_report

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
    jobs = args.jobs or len(visible_gpus()) or os.cpu_count() or 1
    study = Study(plan, args.out, jobs, study_progress())
    failed = study.run()
    write_results(collect(plan, args.out, study.chosen), args.out)
    for path in write_study_report(args.out):
        print(path)
    return 1 if failed else 0
