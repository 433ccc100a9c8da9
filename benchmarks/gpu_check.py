"""Tries tempreg on an NVIDIA GPU, in under eight minutes: `make gpu-check`.

    python -m benchmarks.gpu_check [--cifar FOLDER] [--out FILE.jsonl] [--dry-run]

Its parts run in processes of their own, each until its own time-out; what they find is printed, and
kept, as JSON lines. Where correctness fails, it stops. At the end it writes
benchmarks/results/gpu.csv and fills the tables of docs/performance.md. Without a GPU it says so,
and writes nothing; --dry-run goes through it all with small sizes on the CPU, and writes neither.
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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "gpu.csv"
TIME_OUTS = {
    "correctness": 120, "whole runs": 75, "times": 110, "waits": 40, "profile": 35, "accuracy": 95,
}  # fmt: skip
"""Seconds; together under eight minutes."""
LEFT = 25
"""Seconds of the accuracy part that are for starting and testing."""
NO_GPU = (
    "no NVIDIA GPU is here (torch.cuda.is_available() is false): nothing was checked or measured, "
    "and no file was written; --dry-run tries this program on the CPU"
)


def found_by(part: str, device: str, cifar: Path | None) -> Iterator[dict[str, Any]]:
    """What a part finds, line by line; "ok" says whether it is as it should be."""
    if part == "correctness":
        from benchmarks.gpu.correctness import checks

        for what, ok, detail in checks(device):
            yield {"what": what, "ok": ok, "detail": detail}
    elif part == "whole runs":
        from benchmarks.gpu.whole import whole

        yield from whole(device)
    elif part == "times":
        from benchmarks.gpu.times import rows

        for row in rows(device):
            yield {"what": row.setting, "ok": True, "row": asdict(row)}
    elif part == "waits":
        from benchmarks.gpu.whole import waits

        yield from waits(device)
    elif part == "profile":
        from benchmarks.gpu.times import profile

        yield from profile(device)
    elif cifar is None:
        yield {"what": "resnet19, T 4, CIFAR-10", "ok": True, "left out": "no --cifar FOLDER"}
    else:
        yield from accuracy(device, cifar, TIME_OUTS["accuracy"] - LEFT)


def accuracy(device: str, cifar: Path, seconds: float) -> Iterator[dict[str, Any]]:
    """resnet19 at T 4 on class folders of images, as many epochs as a first one says fit in."""
    import tempfile

    from tempreg import runs
    from tempreg.config import PRESETS

    paper = PRESETS["paper-cifar10"]()
    data = replace(paper.data, name="folder", path=str(cifar))
    precision = "bf16-mixed" if device == "cuda" else "32-true"
    config = replace(paper, data=data, num_steps=4, device=device, precision=precision, epochs=1)
    config = replace(config, batch_size=256 if device == "cuda" else 4, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        summary = runs.train(config, Path(folder) / "first")
        took = time.monotonic() - start
        epochs = int((seconds - took) / took)
        if epochs > 1:
            summary = runs.train(replace(config, epochs=epochs), Path(folder) / "run")
    yield {
        "what": "resnet19, T 4, CIFAR-10",
        "ok": True,
        "epochs": max(epochs, 1),
        "test_accuracy": summary["test_accuracy"],
        "seconds": summary["seconds"],
    }


def run_part(part: str, device: str, words: list[str], out: TextIO) -> tuple[bool, list[Any]]:
    """One part in a process of its own: whether all is well, and the rows that it measured."""
    start, lines = time.monotonic(), []
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--part", part, "--on", device, *words]
    surroundings = {**os.environ, "PYTHONUNBUFFERED": "1"}
    try:
        child = subprocess.run(
            command, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, text=True,
            timeout=TIME_OUTS[part], check=False,
        )  # fmt: skip
        output, ended = child.stdout, f"exit code {child.returncode}" if child.returncode else ""
    except subprocess.TimeoutExpired as error:
        partial = error.stdout or b""
        output = partial.decode() if isinstance(partial, bytes) else partial
        ended = f"time-out after {TIME_OUTS[part]} s"
    for text in output.splitlines():
        if text.startswith("{") and text.endswith("}"):
            lines.append({"part": part, **json.loads(text)})
    ok = not ended and all(line["ok"] for line in lines) and bool(lines)
    seconds = round(time.monotonic() - start, 1)
    lines.append({"part": part, "what": "the part", "ok": ok, "seconds": seconds, "ended": ended})
    for line in lines:
        text = json.dumps(line)
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


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cifar", type=Path, help="class folders of CIFAR-10 as JPEG files")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu-check.jsonl")
    parser.add_argument("--dry-run", action="store_true", help="small, on the CPU")
    parser.add_argument("--part", choices=TIME_OUTS, help=argparse.SUPPRESS)
    parser.add_argument("--on", default="cuda", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        for line in found_by(args.part, args.on, args.cifar):
            print(json.dumps(line), flush=True)
        return 0
    import torch

    if not (args.dry_run or torch.cuda.is_available()):
        print(json.dumps({"part": "start", "ok": False, "said": NO_GPU}))
        return 1
    device = "cpu" if args.dry_run else "cuda"
    words = ["--cifar", str(args.cifar.resolve())] if args.cifar else []
    args.out.parent.mkdir(parents=True, exist_ok=True)
    well, rows = True, []
    with args.out.open("w") as out:
        for part in TIME_OUTS:
            ok, measured = run_part(part, device, words, out)
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
