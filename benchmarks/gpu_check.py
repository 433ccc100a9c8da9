"""Tries tempreg on an NVIDIA GPU, in under eight minutes: `make gpu-check`.

    python -m benchmarks.gpu_check [--cifar FOLDER] [--out FILE.jsonl] [--dry-run]

Its parts run in processes of their own, each until its own time-out; what they find is printed, and
kept, as JSON lines. Where correctness fails, it stops. At the end it writes
benchmarks/results/gpu.csv and fills the tables of docs/performance.md. Without a GPU it says so,
and writes nothing.

--dry-run goes through all of it, with tiny sizes, on the tests' device that isn't there: for errors
of this program, which would otherwise show when a GPU is at hand. Each of its lines says "dry run";
its times and bytes mean nothing, and it writes neither.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from benchmarks.gpu.device import Device, present

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "gpu.csv"
TIME_OUTS = {
    "correctness": 110, "whole runs": 65, "times": 95, "peers": 80, "memory": 25, "waits": 20,
    "profile": 20,
}  # fmt: skip
"""Seconds, of all parts but "accuracy", which has what is left of TOTAL."""
TOTAL = 475
PARTS = (*TIME_OUTS, "accuracy")
LEFT = 25
"""Seconds of the accuracy part that are for starting and testing."""
DRY = 6
"""A dry run's time-outs are so many times as long: a CPU of others computes in it."""
NO_GPU = (
    "no NVIDIA GPU is here (torch.cuda.is_available() is false): nothing was checked or measured, "
    "and no file was written; --dry-run tries this program on a device that isn't there"
)


def found_by(part: str, device: Device, cifar: Path | None, seconds: float) -> Iterator[Any]:
    """What a part finds, line by line; "ok" says whether it is as it should be."""
    if part == "correctness":
        from benchmarks.gpu.correctness import checks

        for what, ok, detail in checks(device):
            yield {"what": what, "ok": ok, "detail": detail}
    elif part in ("times", "memory"):
        from benchmarks.gpu import memory, times

        for row in (times if part == "times" else memory).rows(device):
            yield {"what": row.setting, "ok": True, "row": asdict(row)}
    elif part == "peers":
        from benchmarks.gpu.peers import peers

        yield from peers("dry" if device.small else "cuda")
    elif part == "profile":
        from benchmarks.gpu.times import profile

        yield from profile(device)
    else:
        from benchmarks.gpu import whole

        if part == "accuracy":
            yield from whole.accuracy(device, cifar, seconds - LEFT)
        else:
            yield from (whole.waits if part == "waits" else whole.whole)(device)


def tell(part: str, kind: str, cifar: Path | None, seconds: float) -> None:
    """A part, in this process: its lines, on standard output, which nothing else is printed to."""
    out = sys.stdout
    with present(kind) as device, redirect_stdout(sys.stderr):
        for line in found_by(part, device, cifar, seconds):
            if "row" in line:
                line["row"]["processor"] = device.name()
            print(json.dumps(line), file=out, flush=True)


def run_part(
    part: str, kind: str, words: list[str], seconds: float, out: TextIO
) -> tuple[bool, list[Any]]:
    """One part in a process of its own: whether all is well, and the rows that it measured."""
    start, lines = time.monotonic(), []
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--part", part, "--on", kind]
    command += ["--seconds", str(seconds), *words]
    surroundings = {**os.environ, "PYTHONUNBUFFERED": "1"}
    try:
        child = subprocess.run(
            command, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, text=True,
            timeout=seconds * (DRY if kind == "dry" else 1), check=False,
        )  # fmt: skip
        output, ended = child.stdout, f"exit code {child.returncode}" if child.returncode else ""
    except subprocess.TimeoutExpired as error:
        partial = error.stdout or b""
        output = partial.decode() if isinstance(partial, bytes) else partial
        ended = f"time-out after {seconds:.0f} s"
    for text in output.splitlines():
        if text.startswith("{") and text.endswith("}"):
            lines.append({"part": part, **json.loads(text)})
    ok = not ended and all(line["ok"] for line in lines) and bool(lines)
    took = round(time.monotonic() - start, 1)
    lines.append({"part": part, "what": "the part", "ok": ok, "seconds": took, "ended": ended})
    for line in lines:
        text = json.dumps({"dry run": True, **line} if kind == "dry" else line)
        print(text, flush=True)
        out.write(text + "\n")
    return ok, [line["row"] for line in lines if "row" in line]


def write_results(rows: list[dict[str, Any]]) -> None:
    """gpu.csv, and the page's tables."""
    from tempreg.bench.results import COLUMNS
    from tempreg.files import replacing

    with replacing(RESULTS) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    subprocess.run([sys.executable, str(ROOT / "benchmarks" / "table.py")], check=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cifar", type=Path, help="class folders of CIFAR-10 as JPEG files")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu-check.jsonl")
    parser.add_argument("--dry-run", action="store_true", help="tiny, on a device that isn't there")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--on", default="cuda", choices=("cuda", "dry"), help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=60, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    args = arguments()
    if args.part:
        tell(args.part, args.on, args.cifar, args.seconds)
        return 0
    import torch

    if not (args.dry_run or torch.cuda.is_available()):
        print(json.dumps({"part": "start", "ok": False, "said": NO_GPU}))
        return 1
    kind = "dry" if args.dry_run else "cuda"
    words = ["--cifar", str(args.cifar.resolve())] if args.cifar else []
    args.out.parent.mkdir(parents=True, exist_ok=True)
    well, rows, start = True, [], time.monotonic()
    with args.out.open("w") as out:
        for part in PARTS:
            left = TOTAL - (time.monotonic() - start)
            seconds = TIME_OUTS.get(part, max(left, 2 * LEFT))
            ok, measured = run_part(part, kind, words, seconds, out)
            well, rows = well and ok, rows + measured
            if part == "correctness" and not ok:
                print(
                    f"correctness failed: nothing else was tried; see {args.out}", file=sys.stderr
                )
                return 1
    if not args.dry_run:
        write_results(rows)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
