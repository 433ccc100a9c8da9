"""The plan that the words of `tempreg compare` ask for: a new study, or what one grows to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tempreg.cli.analyze import QUANTITIES
from tempreg.cli.parser import config_from, settings_in, with_flags
from tempreg.cli.trust import trust_in_comparison

if TYPE_CHECKING:
    from tempreg.config import RunConfig
    from tempreg.study.plan.plan import Plan

OBJECTIVES = (
    "rate,step,step+mse,step+l2,step+mse+l2,step+trt,trt,tet,smooth,anytime,anytime+kd,anytime+trt"
)
ANALYSES = "gradients,fisher,flatness,spikes"
SEEDS = 10


def planned(args: argparse.Namespace, words: Sequence[str]) -> Plan:
    """Of a folder that holds a study, what that grows to; else a new one. ConfigError or
    StudyError where it can't be."""
    from tempreg.study.files import PLAN
    from tempreg.study.plan.plan import check_first_runs

    plan = _grown(args, words) if (args.out / PLAN).exists() else _new(args, words)
    check_first_runs(plan, trust_in_comparison(args))
    return plan


def _new(args: argparse.Namespace, words: Sequence[str]) -> Plan:
    from tempreg.config import ConfigError
    from tempreg.study.driver import command_line
    from tempreg.study.plan.arms import parse_arms, swept
    from tempreg.study.plan.growing import check_begins
    from tempreg.study.plan.plan import DRAWS, SAMPLES, make_plan

    if args.source is None:
        raise ConfigError(
            f"{args.out} holds no study to continue: to begin one, name a preset or a .yaml file"
        )
    if args.add is not None:
        raise ConfigError(
            f"--add adds arms to a study, and {args.out} holds none: name those that it begins "
            "with as --objectives"
        )
    config = config_from(args.source, args)
    arms = swept(parse_arms(OBJECTIVES if args.objectives is None else args.objectives), args.sweep)
    analyses = _analyses(ANALYSES if args.analyses is None else args.analyses)
    plan = make_plan(
        args.source,
        _watched(config, analyses),
        arms,
        SEEDS if args.seeds is None else args.seeds,
        reference=args.reference or arms[0].name,
        trials=args.trials or 0,
        trial_seeds=args.trial_seeds or 2,
        trial_epochs=args.trial_epochs,
        tuning="grid" if args.slurm else "edges",
        search=tuple(args.search),
        analyses=analyses,
        samples=args.samples or SAMPLES,
        draws=args.draws or DRAWS,
        command=command_line(["compare", *words]),
    )
    check_begins(plan)
    return plan


def _watched(config: RunConfig, analyses: tuple[str, ...]) -> RunConfig:
    """With weights kept after the first epoch and the last, where an analysis needs both."""
    if not config.snapshot_every and {"fisher", "gradients"} & set(analyses):
        return replace(config, snapshot_every=config.epochs)
    return config


def _grown(args: argparse.Namespace, words: Sequence[str]) -> Plan:
    from tempreg.config import ConfigError
    from tempreg.study.driver import command_line
    from tempreg.study.plan.arms import parse_arms, swept
    from tempreg.study.plan.growing import Asked, grown
    from tempreg.study.plan.plan import read_plan

    before = read_plan(args.out)
    base: RunConfig | None = None
    if args.source is not None:
        base = config_from(args.source, args)
    elif settings_in(args):
        base = with_flags(before.base, args)
    named = args.objectives
    if named is None and args.add is None and args.sweep:
        if args.source is None:
            raise ConfigError("--sweep needs arms to sweep: name them with --add or --objectives")
        named = OBJECTIVES
    wanted = Asked(
        base=base,
        arms=()
        if named is None
        else tuple(swept(parse_arms(named), [] if args.add else args.sweep)),
        added=() if args.add is None else tuple(swept(parse_arms(args.add), args.sweep)),
        seeds=args.seeds,
        reference=args.reference,
        trials=args.trials,
        trial_seeds=args.trial_seeds,
        trial_epochs=args.trial_epochs,
        search=tuple(args.search) or None,
        analyses=() if args.analyses is None else _analyses(args.analyses),
        samples=args.samples,
        draws=args.draws,
        command=command_line(["compare", *words]),
    )
    plan = grown(before, args.out, wanted)
    for line in _said(before, plan, args.out, args.seeds):
        print(line, flush=True)
    return plan


def _said(before: Plan, plan: Plan, root: Path, seeds: int | None) -> list[str]:
    """What a study has, and what comes to it."""
    from tempreg.study.plan.growing import additions

    have = len(before.replicates)
    lines = [f"the study in {root} has {len(before.arms)} arms of {have} seeds"]
    if added := additions(before, plan):
        lines.append("added: " + "; ".join(_worded(name, what) for name, what in added.items()))
    if seeds is not None and seeds < have:
        lines.append(f"all {have} seeds stay, for a study only grows")
    return lines


def _worded(name: str, what: object) -> str:
    if not isinstance(what, list):
        return f"{name} {what}"
    if name == "replicates":
        return f"{len(what)} seed{'s' * (len(what) > 1)}"
    return f"{name} {', '.join(what)}"


def _analyses(text: str) -> tuple[str, ...]:
    from tempreg.config import ConfigError

    analyses = () if text == "none" else tuple(text.split(","))
    for name in analyses:
        if name not in QUANTITIES:
            raise ConfigError(f"unknown analysis {name!r}: choose of {', '.join(QUANTITIES)}")
    return analyses
