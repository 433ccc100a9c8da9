"""Training samples a second: two processes against one, on the CPU.

    python benchmarks/processes.py [--rounds 5] [--threads 1] [any setting of `tempreg train`]

Both train the preset nmnist-trt with model.norm none and the joint batch of 64. First both train
one epoch in float64, and nothing is timed unless their weights agree to 1e-5. Then they train in
turn, each process with --threads threads; an epoch's seconds are the difference between two of
metrics.jsonl, so that starting up is left out, and so is the first epoch. The ratio is of the
least seconds over all rounds; beside it least, median and largest ratio of single rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

from safetensors.torch import load_file

SETTINGS = ("--device", "cpu", "--model.norm", "none", "--batch-size", "64")
EPOCHS = 4


def train(out: Path, processes: int, threads: int, *words: str) -> Path:
    subprocess.run(
        [sys.executable, "-m", "tempreg", "train", "nmnist-trt", *SETTINGS, *words,
         "--devices", str(processes), "--out", str(out)],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        check=True, capture_output=True,
    )  # fmt: skip
    return out


def difference(a: Path, b: Path) -> float:
    """The largest ||a - b|| / ||a|| of a tensor."""
    first, second = (load_file(run / "model.safetensors") for run in (a, b))
    return max(float((first[k] - second[k]).norm() / first[k].norm()) for k in first)


def seconds_an_epoch(run: Path) -> float:
    """The least, of all but the first; training and validation."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    ends = [line["seconds"] for line in lines if line["split"] == "train"]
    return min(b - a for a, b in pairwise(ends))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args, words = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        double = ("--epochs", "1", "--precision", "64-true", *words)
        one, two = (train(root / f"check{n}", n, args.threads, *double) for n in (1, 2))
        gap = difference(one, two)
        print(f"one epoch in float64: weights differ by {gap:.1e} (relative, largest tensor)")
        if gap > 1e-5:
            sys.exit("they should agree to 1e-5: nothing is timed")
        rounds: list[tuple[float, float]] = []
        for number in range(args.rounds):
            runs = [
                train(root / f"{number}-{n}", n, args.threads, "--epochs", str(EPOCHS), *words)
                for n in (1, 2)
            ]
            rounds.append((seconds_an_epoch(runs[0]), seconds_an_epoch(runs[1])))
    single = sorted(alone / together for alone, together in rounds)
    least = [min(seconds) for seconds in zip(*rounds, strict=True)]
    print(
        f"two processes of {args.threads} thread(s): {least[0] / least[1]:.2f} times the "
        f"throughput of one ({single[0]:.2f} - {statistics.median(single):.2f} - "
        f"{single[-1]:.2f}); an epoch takes {least[0]:.2f} s by one, {least[1]:.2f} s by two"
    )


if __name__ == "__main__":
    main()
