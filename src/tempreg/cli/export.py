"""`tempreg export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tempreg.cli.parser import Parser


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg export",
        description="Write a finished run's network for other tools: a NIR graph, an ONNX file or "
        "a torch.export program.",
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="the run's folder")
    parser.add_argument("--format", required=True, choices=("nir", "onnx", "torch"))
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="default: model.nir, .onnx or .pt2 in the run"
    )
    parser.add_argument(
        "--stateful",
        action="store_true",
        help="onnx, torch: one timestep, with membrane potentials in and out",
    )
    args = parser.parse(words)

    from tempreg.run_export import export_run

    for line in export_run(args.run, args.format, args.out, stateful=args.stateful):
        print(line)
    return 0
