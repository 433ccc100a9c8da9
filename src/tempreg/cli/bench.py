"""`tempreg bench`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path

from tempreg.cli.parser import Parser


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code: 1 where results that must be alike are not."""
    from tempreg.bench import MODULES, PARTS

    listed = "\n".join(f"  {name:10} {summary}" for name, summary in PARTS.items())
    parser = Parser(
        prog="tempreg bench",
        description="Measure what tempreg costs, as ratios, and compare it with other libraries "
        "where they are installed. Takes minutes; results are compared before times.",
        epilog=f"parts:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.csv",
        help="keep the results here, after each part; those of other parts stay",
    )
    parser.add_argument("--resume", action="store_true", help="skip the parts that FILE.csv has")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds")
    args = parser.parse(words)
    for part in args.parts:
        if part not in PARTS:
            from tempreg.words import suggest

            hint = suggest(part, PARTS) or f": the parts are {', '.join(PARTS)}"
            parser.error(f"unknown part {part!r}{hint}")
    if args.resume and args.out is None:
        parser.error("--resume needs --out FILE.csv, the file to go on with")
    if args.out is not None and not args.out.parent.is_dir():
        parser.error(f"there is no folder {args.out.parent} for --out: make it first")

    from tempreg.bench.results import Results, machine, read, write

    kept = read(args.out) if args.out is not None else []
    present = {row["part"] for row in kept}
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    for part in args.parts or PARTS:
        if args.resume and part in present:
            print(f"\n{part}: {args.out} has it", flush=True)
            continue
        print(f"\n{part}: {PARTS[part]}", flush=True)
        results = Results(part)
        importlib.import_module(MODULES[part]).measure(results, quick=args.quick)
        if args.out is not None:
            kept = [row for row in kept if row["part"] != part]
            kept += [vars(row) for row in results.rows]
            write(args.out, kept)
    return 0
