"""Memory, open files and log size of every command that loops, over 2,000 steps.

    python benchmarks/long_runs.py [PART ...] [--steps 2000] [--again]

Each part is a command in a process of its own. A step is a call of the function that it loops over.
At each tenth, resident memory and the number of open files are read from /proc, and the size of
what the command has written by now. The first 200 steps are left out, in which allocators and
kernels settle. What counts is the mean memory of the last quarter over that of the first. Parts
that are in docs/reliability/long_runs.csv already are not run, unless with --again.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tempreg import huge_pages

ROOT = Path(__file__).parents[1]
CSV = ROOT / "docs" / "reliability" / "long_runs.csv"
EVERY = 10
WARM_UP = 200
COLUMNS = ("part", "step", "resident_mb", "open_files", "written_bytes")

DATA = ["--data.name", "npz", "--data", "own.npz"]
SMALL = [
    *DATA, "--num-steps", "2", "--model.channels", "[4]", "--batch-size", "8", "--device", "cpu",
    "--augment.shift", "1",
]  # fmt: skip
EVENTS = [
    "train", "nmnist-trt", "--data.name", "event-folder", "--epochs", "1", "--num-steps", "2",
    "--model.channels", "[4]", "--batch-size", "256", "--device", "cpu",
]  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A command that loops.

    `counted` is a function, as "module:object.name": a call of it is a step. What it writes is in
    the files `written`, which are log files and metrics. `before` calls only look at the files.
    `fed` is what its standard input gets, in pieces.
    """

    words: list[str]
    counted: str
    written: str = "nothing"
    before: int = 0
    fed: Callable[[], Iterator[bytes]] | None = None


def parts(steps: int) -> dict[str, Part]:
    """All parts, each of `steps` steps or a few more; an epoch has about 1.2 `steps` images."""
    epochs = "7"  # of batches of 8
    train = ["nmnist-trt", *SMALL, "--epochs", epochs, "--out"]
    files = ["images/0.png"] * steps

    def trained(name: str, *more: str) -> Part:
        place = name.replace(" ", "-")
        step = "tempreg.training.step:GradientStep.__call__"
        return Part(["train", *train, place, *more], step, f"{place}/metrics.jsonl")

    return {
        "train": trained("long"),
        "train, 1 worker": trained("read ahead", "--workers", "1"),
        "train, layers again": trained("layers", "--recompute", "layers"),
        "train, time again": trained(
            "time", "--recompute", "time", "--num-steps", "8", "--model.norm", "none"
        ),
        "train, truncated": trained("truncated", "--truncate", "2", "--num-steps", "8"),
        "train, bf16": trained("bf16", "--precision", "bf16-mixed"),
        "compare": Part(
            ["compare", "nmnist-trt", *SMALL, "--epochs", "2", "--objectives", "rate", "--seeds",
             str(max(1, steps // 50)), "--jobs", "1", "--analyses", "none", "--out", "study"],
            "tempreg.study.process:Process.ended", "study/**/*.log",
        ),
        "evaluate": Part(
            ["evaluate", "run", "--split", "train", "--batch-size", "1"],
            "tempreg.training.evaluate:Totals.add",
        ),
        "analyze gradients": Part(
            ["analyze", "run", "gradients", "--samples", str(steps), "--batch-size", "1"],
            "tempreg.analysis.gradient_sums:GradientSums._chunk",
        ),
        "analyze fisher": Part(
            ["analyze", "run", "fisher", "--samples", str(steps), "--batch-size", "1"],
            "tempreg.analysis.fisher:_exact",
        ),
        "analyze flatness": Part(
            ["analyze", "run", "flatness", "--samples", str(-(-steps // 170)), "--batch-size",
             "1"],
            "torch.func:functional_call",
        ),
        "predict": Part(
            ["predict", "run", *files], "tempreg.data.single:Reading.read",
        ),
        "predict, until sure": Part(
            ["predict", "run", *files, "--until", "0.9"], "tempreg.data.single:Reading.read",
        ),
        "predict, an hour's events": Part(
            ["predict", "events-run", "--stream", "-", "--sample-ms", "100"],
            "tempreg.cli.events_in:Lines.events", fed=hour_of_events,
        ),
        "data cut": Part(
            ["data", "cut", "events", "--ms", "1", "--to", "pieces"],
            "tempreg.data.cut:read_recording",
        ),
        "data check": Part(
            ["data", "check", "event-folder", "--data", "events"],
            "tempreg.data.formats.recordings:read_recording",
        ),
        "frames of events": Part(
            [*EVENTS, "--data", "events", "--out", "converted"],
            "tempreg.data.formats.recordings:read_recording", before=3 * steps,
        ),
    }  # fmt: skip


def hour_of_events() -> Iterator[bytes]:
    """36 million lines, ten thousand a second of their time, in pieces of a second."""
    rng = np.random.default_rng(0)
    for second in range(3600):
        t = second * 1_000_000 + np.arange(10_000) * 100
        events = np.stack([t, *rng.integers(0, 12, (2, 10_000)), rng.integers(0, 2, 10_000)], 1)
        yield "\n".join(f"{t} {x} {y} {p}" for t, x, y, p in events.tolist()).encode() + b"\n"


def prepare(folder: Path, steps: int) -> None:
    """Images, recordings, single files and a finished run."""
    from PIL import Image

    rng = np.random.default_rng(0)
    y = np.arange(3 * steps // 2) % 4
    x = (rng.integers(0, 60, (len(y), 12, 12)) + 60 * y[:, None, None]).astype(np.uint8)
    np.savez(folder / "own.npz", x=x, y=y)
    (folder / "images").mkdir()
    Image.fromarray(x[0]).save(folder / "images" / "0.png")
    for i in range(3 * steps):  # they are read some 300 at once, so that steps of memory are seen
        place = folder / "events" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        t, rest = np.sort(rng.integers(0, 9999, 50)), rng.integers(0, 12, (2, 50))
        np.save(place / f"{i}.npy", np.stack([t, *rest, rng.integers(0, 2, 50)], axis=1))
    words = ["train", "nmnist-trt", *SMALL, "--epochs", "1", "--out", "run"]
    subprocess.run([sys.executable, "-m", "tempreg", *words], cwd=folder, check=True)
    shutil.copytree(folder / "events", folder / "few", ignore=lambda _, names: names[60:])
    words = [*EVENTS, "--data", "few", "--out", "events-run"]
    subprocess.run([sys.executable, "-m", "tempreg", *words], cwd=folder, check=True)


def counted_in(part: Part) -> tuple[Any, str]:
    """What has the function that is counted, and its name there; AttributeError without it."""
    module, _, path = part.counted.partition(":")
    owner: Any = importlib.import_module(module)
    *owners, name = path.split(".")
    for each in owners:
        owner = getattr(owner, each)
    getattr(owner, name)
    return owner, name


def watched(part: Part) -> list[dict[str, Any]]:
    """Run the command here, in the current folder; a row for each tenth step."""
    from tempreg.cli.main import main

    owner, name = counted_in(part)
    function: Callable[..., Any] = getattr(owner, name)
    rows: list[dict[str, Any]] = []
    calls = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % EVERY == 0:
            rows.append({"step": calls, **now(part.written)})
        return function(*args, **kwargs)

    setattr(owner, name, counted)
    code = main(part.words)
    assert code == 0, f"exit code {code}"
    return rows


def now(written: str) -> dict[str, Any]:
    """This process's resident memory, open files and what it has written."""
    with Path("/proc/self/statm").open() as file:
        pages = int(file.read().split()[1])
    return {
        "resident_mb": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 2),
        "open_files": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "written_bytes": sum(path.stat().st_size for path in Path().glob(written)),
    }


def settled(part: Part, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows after the warm-up."""
    return [row for row in rows if int(row["step"]) > part.before + WARM_UP]


def growth(rows: list[dict[str, Any]]) -> float:
    """Mean memory of the last quarter of these rows, over that of the first."""
    memory = [float(row["resident_mb"]) for row in rows]
    quarter = max(1, len(memory) // 4)
    return float(np.mean(memory[-quarter:]) / np.mean(memory[:quarter]))


def table(known: dict[str, Part], rows: list[dict[str, Any]]) -> str:
    """A line a part."""
    lines = ["| Command | steps | memory, MB | last / first quarter | open files | log, bytes |",
             "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for part in dict.fromkeys(row["part"] for row in rows):
        own = [row for row in rows if row["part"] == part]
        late = settled(known[part], own)
        memory = [float(row["resident_mb"]) for row in late]
        files = [int(row["open_files"]) for row in late]
        steps = int(own[-1]["step"]) - known[part].before
        lines.append(
            f"| {part} | {steps} | {min(memory):.1f} to {max(memory):.1f} | "
            f"{growth(late):.4f} | {files[0]} to {files[-1]} | {own[-1]['written_bytes']} |"
        )
    return "\n".join(lines) + "\n"


def run(words: list[str], fed: Callable[[], Iterator[bytes]] | None, **where: Any) -> None:
    """A process that is to end well, and what its standard input gets."""
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **where
    ) as child:
        assert child.stdin is not None
        for piece in fed() if fed else ():
            child.stdin.write(piece)
    if child.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {child.returncode}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    known = parts(args.steps)
    if args.child is not None:
        rows = [{"part": args.parts[0], **row} for row in watched(known[args.parts[0]])]
        write(args.child, rows)
        return 0
    chosen = args.parts or list(known)
    rows = read(CSV) if CSV.exists() else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, args.steps)
        for part in chosen:
            if not args.again and any(row["part"] == part for row in rows):
                continue
            out = folder / "rows.csv"
            script = [sys.executable, str(Path(__file__).resolve()), part]
            environment = {**os.environ, "TEMPREG_CACHE_DIR": str(folder / "cache")}
            if known[part].words[0] in huge_pages.COMMANDS:  # as they begin themselves
                environment[huge_pages.TUNABLES] = f"{huge_pages.TUNABLE}=1"
            child = [*script, "--steps", str(args.steps), "--child", str(out)]
            run(child, known[part].fed, cwd=folder, env=environment)
            rows = [row for row in rows if row["part"] != part] + read(out)
            write(CSV, rows)
            print(part, round(growth(settled(known[part], read(out))), 4), flush=True)
    print(table(known, rows))
    return 0


def read(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    from tempreg.files import replacing

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
