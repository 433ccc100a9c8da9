"""Ratios of what the foundation promises: LIF against ReLU, the penalty against its definition.

    python benchmarks/foundation.py

A and B run in turn, results are compared before times, and each ratio is of the minima over all
rounds; beside it least, median and largest ratio of single rounds: the machine may be shared.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from tempreg.functional import lif, trt_penalty

Work = Callable[[], object]


def seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str, a: Work, b: Work, rounds: int) -> None:
    for work in (a, b):
        work()
    pairs = [(seconds(a), seconds(b)) for _ in range(rounds)]
    ratio = min(p[0] for p in pairs) / min(p[1] for p in pairs)
    single = sorted(p[0] / p[1] for p in pairs)
    median = statistics.median(single)
    print(f"{name:58} {ratio:8.2f}   (rounds: {single[0]:.2f} - {median:.2f} - {single[-1]:.2f})")


def lif_against_relu(steps: int, neurons: int, backend: str, rounds: int) -> None:
    x = torch.randn(steps, neurons, requires_grad=True)
    upstream = torch.randn(steps, neurons)

    def run(function: Callable[[Tensor], Tensor]) -> Tensor:
        x.grad = None
        function(x).backward(upstream)
        assert x.grad is not None
        return x.grad

    def spikes(name: str) -> Callable[[Tensor], Tensor]:
        return lambda x: lif(x, tau=2.0, backend=name)

    torch.testing.assert_close(run(spikes(backend)), run(spikes("reference")))
    name = f"LIF {backend} / ReLU, T {steps}, {neurons:,} neurons"
    compare(name, lambda: run(spikes(backend)), lambda: run(torch.relu), rounds)


def penalty_against_definition(steps: int, rounds: int) -> None:
    params = [torch.randn(512, 512, 3, 3).mul_(0.02).requires_grad_() for _ in range(5)]
    params.append(torch.randn(800_000).requires_grad_())

    def definition() -> Tensor:
        total = torch.zeros(())
        for t in range(steps):
            c = math.exp(0.5 * t) - 1
            for w in params:
                total = total + (w**2 / (1 + c * (w.abs() + 1e-5))).sum()
        return 1e-5 / steps * total

    def run(penalty: Callable[[], Tensor]) -> list[Tensor]:
        return list(torch.autograd.grad(penalty(), params))

    def ours() -> Tensor:
        return trt_penalty(params, num_steps=steps, lam=1e-5)

    for a, b in zip(run(ours), run(definition), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-12)
    name = f"penalty as a loop / closed form, T {steps}, 12.6 M weights"
    compare(name, lambda: run(definition), lambda: run(ours), rounds)


def command_line() -> None:
    words = [sys.executable, "-c", "from tempreg.cli.main import main; main(['--help'])"]
    times = [
        seconds(lambda: subprocess.run(words, check=True, capture_output=True)) for _ in range(9)
    ]
    print(f"tempreg --help: median {statistics.median(times):.2f} s, worst {max(times):.2f} s")


if __name__ == "__main__":
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; ratios of minima")
    for steps in (4, 8, 16, 32):
        lif_against_relu(steps, 1 << 20, "compiled", rounds=12)
    for backend in ("eager", "reference"):
        lif_against_relu(8, 1 << 20, backend, rounds=6)
    for steps in (4, 6, 10):
        penalty_against_definition(steps, rounds=5)
    command_line()
