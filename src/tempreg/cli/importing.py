"""`tempreg import`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tempreg.cli.parser import Parser, add_settings, config_from
from tempreg.cli.tables import scores_table


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg import",
        description="Take a network in from a NIR graph: say how good it is on a preset's or a "
        "file's data, and write settings with which `tempreg train` goes on from its weights.",
        examples="tempreg import net.nir nmnist-trt --out mine.yaml\n"
        "tempreg train mine.yaml --out runs/mine",
        add_help=False,
    )
    parser.add_argument("graph", type=Path, metavar="FILE.nir")
    parser.add_argument("source", metavar="PRESET|FILE.yaml", help="settings of data and training")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.yaml")
    parser.add_argument(
        "--dt",
        type=float,
        default=argparse.SUPPRESS,
        help="seconds of a timestep (default: as the file says)",
    )

    from tempreg.config import config_text
    from tempreg.config.dotted import leaves

    why = "FILE.nir says what the network is"
    add_settings(parser, without={n: why for n, *_ in leaves() if n.startswith("model.")})
    args = parser.parse(words)
    if not args.out.parent.is_dir() or args.out.is_dir():
        parser.error(f"--out {args.out}: give a file's name in a folder that exists")

    from tempreg.files import write_text
    from tempreg.runs.importing import imported_model, scored

    config = config_from(args.source, args)
    model, dt = imported_model(args.graph, getattr(args, "dt", None))
    config = replace(config, model=model)
    network, evaluation = scored(config)
    count = sum(p.numel() for p in network.parameters())
    print(f"{args.graph}: {count:,} weights, one timestep is {dt:g} s")
    print(scores_table("test", evaluation.measured()))
    write_text(args.out, config_text(config))
    print(f"settings: {args.out}; tempreg train {args.out} --out DIR goes on from these weights")
    return 0
