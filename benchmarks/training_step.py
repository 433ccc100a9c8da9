"""A whole training step against the same network with ReLU in place of LIF: time and memory.

    python benchmarks/training_step.py [network ...]

Networks: csnn (34x34, T 6, batch 32), vggsnn (48x48, T 10, batch 8), resnet19 (32x32, T 4, batch
8). A step is forward, TRT objective, backward and Adam. The variants are `fused` (as it runs by
default), `plain` (TEMPREG_FUSE=0: norm, then neurons) and `relu`, the floor. They run in turn in
one process, after fused and plain were found to agree; each ratio is of minima over all rounds,
beside it least, median and largest ratio of single rounds. Peak memory is each variant's own,
in a process of its own, above what it held before its first step.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from tempreg import Neuron, TRTLoss, create_model
from tempreg.models import SpikingNetwork

SETTINGS = {  # input channels, size, T, batch, options
    "csnn": (2, 34, 6, 32, {"channels": (16, 32, 64)}),
    "vggsnn": (2, 48, 10, 8, {}),
    "resnet19": (3, 32, 4, 8, {}),
}
VARIANTS = ("fused", "plain", "relu")
ROUNDS = 5


def network(name: str, variant: str) -> SpikingNetwork:
    torch.manual_seed(0)
    channels, size, steps, _, options = SETTINGS[name]
    model = create_model(
        name, num_classes=10, in_channels=channels, num_steps=steps, input_size=size, **options
    )
    if variant == "relu":
        for parent in list(model.modules()):
            for child, module in parent.named_children():
                if isinstance(module, Neuron):
                    setattr(parent, child, nn.ReLU())
    return model


def training_step(name: str, variant: str) -> Callable[[], list[torch.Tensor]]:
    channels, size, steps, batch, _ = SETTINGS[name]
    model = network(name, variant)
    criterion = TRTLoss(model, lam=1e-5)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    static = name == "resnet19"
    x = torch.randn(batch, channels, size, size)
    if not static:
        x = (torch.rand(steps, batch, channels, size, size) < 0.1).float()
    y = torch.arange(batch) % 10

    def step() -> list[torch.Tensor]:
        os.environ["TEMPREG_FUSE"] = "0" if variant == "plain" else "1"
        outputs = model(x)
        loss = criterion(outputs, y)
        optimizer.zero_grad()
        loss.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        optimizer.step()
        return [outputs, *gradients]

    return step


def agree(name: str) -> None:
    fused, plain = (training_step(name, variant)() for variant in ("fused", "plain"))
    for a, b in zip(fused, plain, strict=True):
        error = (a - b).norm() / b.norm().clamp_min(1e-12)
        assert error < 0.02, f"{name}: fused and plain differ by {error:.3g}"


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def memory(name: str, variant: str) -> None:
    """Prints the bytes of one step above what is held before it; run in a fresh process."""
    step = training_step(name, variant)
    before = _peak()
    for _ in range(2):
        step()
    print(_peak() - before)


def _peak() -> int:
    """Bytes; of this program alone, which ru_maxrss isn't: it starts at the parent's."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def compare(name: str) -> None:
    agree(name)
    steps = {variant: training_step(name, variant) for variant in VARIANTS}
    for step in steps.values():
        step()
    rounds = [{variant: seconds(step) for variant, step in steps.items()} for _ in range(ROUNDS)]
    least = {variant: min(r[variant] for r in rounds) for variant in VARIANTS}
    peak = {}
    for variant in VARIANTS:
        words = [sys.executable, __file__, "--memory", name, variant]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        peak[variant] = int(done.stdout)
    for variant in VARIANTS:
        single = sorted(r[variant] / r["relu"] for r in rounds)
        spread = f"{single[0]:.2f} - {statistics.median(single):.2f} - {single[-1]:.2f}"
        print(
            f"{name:9} {variant:6} {least[variant] * 1e3:8.1f} ms  "
            f"{least[variant] / least['relu']:5.2f} of ReLU ({spread})   "
            f"{peak[variant] / 2**20:7.0f} MB  {peak[variant] / peak['relu']:5.2f} of ReLU",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        memory(*sys.argv[2:])
    else:
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; ratios of minima")
        for chosen in sys.argv[1:] or SETTINGS:
            compare(chosen)
