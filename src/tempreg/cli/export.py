"""`tempreg export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tempreg.cli.parser import Parser
from tempreg.cli.trust import add_trust, trust_from
from tempreg.export.formats import FORMATS, HUB


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg export",
        description="Write a finished run's network for other tools: C99 that needs nothing "
        "else, a NIR graph, an ONNX file or a torch.export program; or a folder to publish.",
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="the run's folder")
    parser.add_argument("--format", required=True, choices=(*FORMATS, HUB))
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="default: model.c, .nir, .onnx or .pt2 in the run, or the folder hub there",
    )
    parser.add_argument(
        "--stateful",
        action="store_true",
        help="onnx, torch: one timestep, with membrane potentials in and out",
    )
    add_trust(parser)
    parser.add_argument("--prefix", metavar="NAME", help="c: names begin with it (net)")
    parser.add_argument(
        "--int8", action="store_true", help="c: int8 weights and int32 potentials, not float32"
    )
    parser.add_argument(
        "--raw",
        action="store_true",
        help="images: leave their scaling out of the file, which then takes standardised ones",
    )
    args = parser.parse(words)

    from tempreg.runs.export import export_run

    said = export_run(
        args.run,
        args.format,
        args.out,
        stateful=args.stateful,
        prefix=args.prefix,
        int8=args.int8,
        raw=args.raw,
        trust_code=trust_from(args),
    )
    for line in said:
        print(line)
    return 0
