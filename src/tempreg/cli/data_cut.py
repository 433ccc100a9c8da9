"""`tempreg data cut` and `show`: what a person does with files of their own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from tempreg.cli.parser import whole
from tempreg.errors import one_line

if TYPE_CHECKING:
    from tempreg.data.cut import Cut


def add_cut(commands: Any) -> None:
    """The command's words."""
    cut = commands.add_parser("cut", help="cut long recordings into pieces to train on")
    cut.add_argument("folder", type=Path, metavar="FOLDER", help="a folder for each class in it")
    cut.add_argument("--ms", type=float, required=True, metavar="MS", help="milliseconds a piece")
    cut.add_argument("--to", type=Path, required=True, metavar="OUT", help="a new folder")


def run_cut(args: argparse.Namespace) -> int:
    """The command; returns its exit code: 1 where a recording is damaged."""
    from tempreg.data.cut import cut

    def told(path: Path) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{one_line(path)}", end="", file=sys.stderr, flush=True)

    found = cut(args.folder, args.to, args.ms, told)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    for line in _said(found, args.ms, args.to):
        print(one_line(line))
    for fault in found.faults:
        print(f"tempreg: {one_line(fault)}", file=sys.stderr)
    if found.faults:
        print(f"damaged, so not cut: {len(found.faults)}")
    print(f"next: tempreg train --data {quote(str(args.to))} --out RUN")
    return 1 if found.faults else 0


def add_show(commands: Any) -> None:
    """The command's words."""
    show = commands.add_parser("show", help="what a recording or an image holds; a strip of frames")
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("--out", type=Path, metavar="PNG", help="write its frames side by side here")
    show.add_argument(
        "--num-steps",
        type=whole(1, 100),
        default=6,
        metavar="T",
        help="so many frames of equal time (6)",
    )


def run_show(args: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    from tempreg.data.show import described_file, write_strip

    for line in described_file(args.file):
        print(one_line(line))
    if args.out is not None:
        write_strip(args.file, args.num_steps, args.out)
        print(one_line(f"frames side by side, ON red and OFF blue: {args.out}"))
    return 0


def _said(found: Cut, ms: float, out: Path) -> list[str]:
    lines = [*found.remarks]
    pieces = sum(found.pieces.values())
    lines.append(
        f"{found.recordings} recording{'s' * (found.recordings != 1)} cut into {pieces:,} pieces "
        f"of {ms:g} ms in {out}: all {found.events:,} events"
    )
    for name, number in found.pieces.items():
        sessions = sorted(found.sessions[name])
        some = ", ".join(sessions[:5]) + (", ..." if len(sessions) > 5 else "")
        plural = "s" * (len(sessions) != 1)
        lines.append(f"class {name}: {number:,} pieces of {len(sessions)} session{plural} ({some})")
    if found.empty:
        some = ", ".join(found.empty_at) + (", ..." if found.empty > len(found.empty_at) else "")
        lines.append(f"empty, so not written: {found.empty:,} pieces ({some})")
    if found.blank:
        some = ", ".join(found.blank[:3]) + (", ..." if len(found.blank) > 3 else "")
        lines.append(f"recordings without any event: {len(found.blank)} ({some})")
    if found.shorter:
        lines.append(f"shorter, for the recording ends: {found.shorter} last pieces")
    if few := [name for name, of in found.sessions.items() if len(of) < 3]:
        more = f" (and {len(few) - 1} more)" if len(few) > 1 else ""
        lines.append(
            f"class {few[0]!r}{more} has fewer than three sessions: training says what its test "
            "can't show"
        )
    return lines
