"""Flags by which a person says which code may be imported; see `tempreg.runs.own.trust`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tempreg.cli.parser import Parser, config_from

if TYPE_CHECKING:
    from tempreg.config import RunConfig
    from tempreg.runs.own.trust import Trust

CODE = ("data.name", "model.name", "objective.name")
"""The settings that may name code."""
_WRITTEN = ("environment.json", "metrics.jsonl", "summary.json", "checkpoints", "study.yaml")
"""Beside one of these a settings file is part of a run's or a study's folder."""


def add_trust(parser: Parser) -> None:
    """--trust-code, and --trust NAME, by which a study says what it was begun with."""
    parser.add_argument(
        "--trust-code",
        action="store_true",
        help="import the code that files in the folder name, as my_net:Net",
    )
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="NAME",
        help="import this code, as my_net:Net, and no other that files in the folder name",
    )


def trust_from(args: argparse.Namespace, named: Iterable[RunConfig] = ()) -> Trust:
    """What the flags trust, and what these settings name, which a person wrote."""
    from tempreg.runs.own.trust import EVERYTHING, Trust, naming

    if args.trust_code:
        return EVERYTHING
    return Trust(frozenset(args.trust) | naming(named).names)


def trust_in_settings(args: argparse.Namespace, source: str | None, config: RunConfig) -> Trust:
    """What flags trust, and what is named by flags, or by a settings file that is a person's.

    One that lies in a run's or a study's folder was written by a command, and may come from
    anybody; it names nothing. So it is with what `--out` alone stands for, whatever lies there.
    """
    from tempreg.runs.own.trust import code_in

    typed_by_a_person = source is None or source == args.source
    if typed_by_a_person and not (source and _in_a_folder_of_ours(Path(source))):
        return trust_from(args, [config])
    typed = {name for setting, name in code_in(config).items() if hasattr(args, setting)}
    trust = trust_from(args)
    return trust._replace(names=trust.names | typed)


def trust_in_comparison(args: argparse.Namespace) -> Trust:
    """What `tempreg compare` may import: what its flags, its arms and a person's settings file
    name. A study that it continues names nothing by itself."""
    from tempreg.study.plan.arms import parse_arms, swept

    trust = trust_from(args)
    if args.source is not None:
        trust = trust_in_settings(args, args.source, config_from(args.source, args))
    names = {getattr(args, setting) for setting in CODE if hasattr(args, setting)}
    for text in (args.objectives, args.add):
        for arm in swept(parse_arms(text), args.sweep) if text is not None else ():
            names |= {str(arm.changes[setting]) for setting in CODE if setting in arm.changes}
    return trust._replace(names=trust.names | names)


def _in_a_folder_of_ours(source: Path) -> bool:
    return any((source.parent / name).exists() for name in _WRITTEN)
