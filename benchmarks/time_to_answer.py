"""What a calibrated exit buys: the time until a network answers, beside that of all its timesteps.

    python -m benchmarks.time_to_answer RUN... [--samples 300] [--rounds 5]

Each RUN is a finished run that `tempreg calibrate` was used on. Its test samples are answered one
at a time, by each way in turn: the exported C until `net_decide` answers, and through all
timesteps; `tempreg.Stream` likewise; PyTorch with all timesteps at once. One thread, in its
processor time, which others on the machine move less than the clock's; the mean over the samples,
of which the least and the median over rounds are given. Answers of C and Stream are held against
each other before anything is timed. Prints, and appends to benchmarks/results/time_to_answer.csv.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from benchmarks.c_runtime import FLOATS, Compiled, samples
from torch import Tensor

import tempreg
from tempreg.runs import load_run

RESULTS = Path(__file__).parent / "results" / "time_to_answer.csv"
COLUMNS = (
    "run", "what", "samples", "least_ms", "median_ms", "timesteps", "of", "accuracy",
)  # fmt: skip
Answer = tuple[int, int]
"""A label, and after how many timesteps it was given."""


def in_c(compiled: Compiled, frames: np.ndarray, *, until: bool) -> Answer:
    """One sample's answer; of all timesteps unless `until`."""
    label, confidence = ctypes.c_int(), ctypes.c_float()
    out = np.empty(1_000, np.float32).ctypes.data_as(FLOATS)
    net = compiled.functions
    net.net_reset(compiled.state)
    for step, frame in enumerate(frames, 1):
        net.net_step(compiled.state, frame.ctypes.data_as(FLOATS), out)
        decided = net.net_decide(compiled.state, ctypes.byref(label), ctypes.byref(confidence))
        if (until and decided) or step == len(frames):
            return label.value, step
    raise ValueError("no frames")


def streamed(stream: tempreg.Stream, x: Tensor) -> Answer:
    """The answer to one sample x [T, C, H, W]."""
    stream.reset()
    for frames in x:
        answer = stream.step(frames)
        if answer.done.all():
            break
    return int(answer.label), int(answer.steps)


def at_once(network: torch.nn.Module, x: Tensor) -> Answer:
    """The answer after all timesteps of one sample x [T, C, H, W]."""
    logits: Tensor = network(x.unsqueeze(1))
    return int(logits.mean(dim=0).argmax()), len(x)


def measured(run: Path, count: int, rounds: int) -> Iterator[dict[str, object]]:
    """A row for each way."""
    _, data, network, _ = load_run(run)
    x, y, frames = samples(data, network.num_steps, min(count, len(data.test)))
    with tempfile.TemporaryDirectory() as folder:
        compiled = Compiled(run, Path(folder), int8=False)
    until, whole = tempreg.Stream(run, until="calibrated"), tempreg.Stream(run)
    assert until.backend == whole.backend == "events"
    ways: dict[str, Callable[[int], Answer]] = {
        "C until it answers": lambda i: in_c(compiled, frames[i], until=True),
        "C": lambda i: in_c(compiled, frames[i], until=False),
        "Stream until it answers": lambda i: streamed(until, x[:, i]),
        "Stream": lambda i: streamed(whole, x[:, i]),
        "PyTorch at once": lambda i: at_once(network, x[:, i]),
    }
    found = {name: [way(i) for i in range(len(y))] for name, way in ways.items()}
    equal = {name: np.mean([a == b for a, b in zip(found[name], found[other], strict=True)])
             for name, other in (("C until it answers", "Stream until it answers"),
                                 ("C", "Stream"), ("Stream", "PyTorch at once"))}  # fmt: skip
    assert min(equal.values()) > 0.99, equal
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.thread_time()
            for i in range(len(y)):
                way(i)
            spent[name].append(1e3 * (time.thread_time() - start) / len(y))
    for name, times in spent.items():
        labels, steps = zip(*found[name], strict=True)
        values = (run.name, name, len(y), f"{min(times):.3f}", f"{statistics.median(times):.3f}",
                  f"{np.mean(steps):.3f}", network.num_steps,
                  f"{np.mean(np.array(labels) == y.numpy()):.4f}")  # fmt: skip
        yield dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    words = parser.parse_args()
    torch.set_num_threads(1)
    fresh = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file, torch.inference_mode():
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if fresh:
            writer.writeheader()
        for run in words.runs:
            for row in measured(run, words.samples, words.rounds):
                writer.writerow(row)
                print(*row.values())


if __name__ == "__main__":
    main()
