"""`tempreg audit`."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempreg.cli.parser import SEED, Parser, whole
from tempreg.cli.trust import add_trust, trust_from

if TYPE_CHECKING:
    from tempreg.audit import Audit

FILES = ("audit.json", "audit.html", "audit.svg")
_MOST = 1 << 28
"""Entries of made inputs."""


def _parser() -> Parser:
    parser = Parser(
        prog="tempreg audit",
        description="Ask a network whether it is what it says it is: whether samples meet, time is "
        "used and in order, spikes are spikes. Exit code 1 where a check fails.",
    )
    parser.add_argument(
        "network", metavar="DIR|CODE", help="a finished run's folder, or my_net:Net, or file.py:Net"
    )
    parser.add_argument(
        "--input",
        metavar="SHAPE",
        help="of CODE: the shape of made inputs, as 4,2,2,34,34 (T,B,C,H,W), 4,2,6 (T,B,F), or "
        "static 2,3,32,32 or 2,6",
    )
    parser.add_argument(
        "--num-classes",
        type=whole(1, 1_000_000),
        default=10,
        help="of CODE, where it asks (default 10)",
    )
    parser.add_argument("--own", metavar="YAML", help="arguments of CODE, as '{width: 8}'")
    parser.add_argument(
        "--per-step",
        action="store_true",
        default=None,
        help="CODE takes one timestep a call (default: told by its neurons)",
    )
    parser.add_argument("--seed", type=SEED, default=0, help="of weights, inputs and changes")
    parser.add_argument("--compile", action="store_true", help="try torch.compile, too")
    parser.add_argument(
        "--allow", nargs="+", default=[], metavar="CHECK", help="checks that may fail"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"where {', '.join(FILES)} go (default: the run's folder; of CODE nowhere)",
    )
    add_trust(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    args = _parser().parse(words)
    folder = Path(args.network)
    found = _of_run(args, folder) if folder.is_dir() else _of_code(args)
    _check_allowed(args.allow, found)
    print(json.dumps(found.as_json()) if args.json else found.table())
    out = args.out or (folder if folder.is_dir() else None)
    if out is not None:
        from tempreg.report.svg import page_style

        out.mkdir(parents=True, exist_ok=True)
        with page_style():
            for name in FILES:
                found.save(out / name)
        if not args.json:
            print(f"\npage, numbers and badge: {out / FILES[1]}, {FILES[0]}, {FILES[2]}")
    return 1 if found.failed(args.allow) else 0


def _of_run(args: argparse.Namespace, folder: Path) -> Audit:
    from tempreg.config import ConfigError
    from tempreg.runs.audit import audit_run

    for name in ("input", "own", "per_step"):
        if getattr(args, name) is not None:
            raise ConfigError(
                f"--{name.replace('_', '-')} is for code, and {folder} is a run's folder, which "
                "has its own inputs and settings: leave it out"
            )
    return audit_run(folder, trust_code=trust_from(args), seed=args.seed, compiled=args.compile)


def _of_code(args: argparse.Namespace) -> Audit:
    """The network that the words name, which a person typed, with made inputs."""
    from tempreg.config import ConfigError

    if ":" not in args.network:
        raise ConfigError(
            f"{args.network} is no folder of a run, nor code as my_net:Net or file.py:Net"
        )
    if args.input is None:
        raise ConfigError(f"say what {args.network} takes: --input T,B,C,H,W, as --input 4,2,2,8,8")
    shape = _shape(args.input)

    import torch

    from tempreg.audit import audit

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(args.seed)
        model, x = _made(args, shape), torch.rand(shape)
    return audit(model, x, seed=args.seed, per_step=args.per_step, compiled=args.compile)


def _made(args: argparse.Namespace, shape: list[int]) -> Any:
    from torch import nn

    from tempreg.config import ConfigError
    from tempreg.config.yaml import parse
    from tempreg.runs.own.code import made, named_object
    from tempreg.runs.own.trust import Trust

    own = parse(args.own, "--own") if args.own is not None else {}
    if not isinstance(own, dict):
        raise ConfigError(f"--own takes arguments by name, as '{{width: 8}}', not {args.own}")
    trust = Trust(frozenset([args.network]))
    found = named_object("audit", args.network, trust)
    known = {
        "num_classes": args.num_classes,
        "in_channels": shape[-3] if len(shape) > 3 else shape[-1],
        "num_steps": shape[0] if len(shape) % 2 else 1,
        "input_size": tuple(shape[-2:]) if len(shape) > 3 else None,
    }
    model = found
    if not isinstance(found, nn.Module):
        model = made("audit", args.network, found, known, own, place="own")
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"{args.network} gives a {type(model).__name__}, and an audit takes a torch.nn.Module"
        )
    return model


def _shape(text: str) -> list[int]:
    from tempreg.config import ConfigError

    try:
        shape = [int(part) for part in text.split(",")]
    except ValueError:
        shape = []
    if not 2 <= len(shape) <= 5 or min(shape) < 1 or math.prod(shape) > _MOST:
        raise ConfigError(
            f"--input takes two to five sizes from 1 on, as 4,2,2,34,34, of {_MOST:,} entries "
            f"together at most, got {text!r}"
        )
    return shape


def _check_allowed(allow: Sequence[str], found: Audit) -> None:
    from tempreg.config import ConfigError
    from tempreg.words import suggest

    for name in allow:
        if name not in found.checks:
            hint = suggest(name, found.checks) or f": they are {', '.join(found.checks)}"
            raise ConfigError(f"--allow {name}: there is no such check{hint}")
