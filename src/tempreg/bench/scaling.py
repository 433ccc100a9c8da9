"""Time and memory of a training step over T, batch, width and depth, with fitted exponents.

A plain network of 3x3 convolutions on 16x16 event frames; one size changes, the others stay.
Memory is what the first step adds: what it keeps for its backward pass, and the gradients and
Adam's averages, which don't grow with T or the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, final

import torch

from tempreg.bench.agree import agree
from tempreg.bench.alone import alone as in_a_process
from tempreg.bench.alone import measures_memory, peak_bytes
from tempreg.bench.fit import exponent
from tempreg.bench.measure import alternate
from tempreg.bench.networks import repeated
from tempreg.bench.results import Results
from tempreg.models.vgg import PlainNetwork
from tempreg.objectives import TRTLoss


@final
class Size(NamedTuple):
    """What a step is taken with."""

    steps: int = 4
    batch: int = 8
    width: int = 64
    depth: int = 4


SWEEPS = {
    "steps": (1, 2, 4, 8, 16, 32, 64),
    "batch": (1, 2, 4, 8, 16, 32, 64),
    "width": (16, 32, 64, 128, 256),
    "depth": (2, 4, 8, 16, 32),
}


def training_step(size: Size, backend: str = "auto") -> Callable[[], list[torch.Tensor]]:
    """Forward, TRT objective, backward and Adam; returns the logits and the gradients."""
    torch.manual_seed(0)
    model = PlainNetwork(
        [size.width] * size.depth,
        input_size=16,
        num_classes=10,
        in_channels=2,
        num_steps=size.steps,
        backend=backend,
    )
    x = (torch.rand(size.steps, size.batch, 2, 16, 16) < 0.2).float()
    return repeated(model, x, size.batch, TRTLoss(model))


def alone(*size: str) -> int:
    """Peak bytes that a step of this size adds."""
    training_step(Size(1, 1, 8, 2))()  # what is loaded once doesn't count
    steps, batch, width, depth = map(int, size)
    step = training_step(Size(steps, batch, width, depth))
    return peak_bytes(step)


def measure(results: Results, quick: bool) -> None:
    """Every sweep: times in turn, then memory, then the exponents of both."""
    small = Size(3, 2, 16, 2)
    agree("scaling", training_step(small)(), training_step(small, "reference")(), 1e-3)
    for what, sizes in SWEEPS.items():
        chosen = sizes[:4] if quick else sizes
        at = {n: Size()._replace(**{what: n}) for n in chosen}
        works = {str(n): training_step(size) for n, size in at.items()}
        times = alternate(works, rounds=9, budget=60)
        del works
        costs = {"time": ({n: min(times[str(n)]) for n in chosen}, "s")}
        if measures_memory():
            peak = {n: float(in_a_process("scaling", *map(str, size))) for n, size in at.items()}
            costs["peak memory"] = (peak, "bytes")
        for measured, (by_size, unit) in costs.items():
            for n, cost in by_size.items():
                results.single(measured, f"{what} {n}", "training step", cost, unit)
            power, error = exponent(by_size)
            setting = f"{what} {chosen[0]} to {chosen[-1]}"
            results.single(f"exponent of {measured}", setting, "training step", power, "", error)
            last = dict(list(by_size.items())[-3:])
            power, error = exponent(last)
            setting = f"{what} {min(last)} to {max(last)}"
            results.single(f"exponent of {measured}", setting, "training step", power, "", error)
