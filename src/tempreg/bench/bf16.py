"""bf16 beside float32 on this processor: a convolution, training steps, the same with ReLU for
neurons, memory, and how far apart gradients are; what `precision: auto` decides by is in
`runs.precision`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from tempreg.bench.alone import alone as in_a_process
from tempreg.bench.alone import measures_memory, peak_bytes
from tempreg.bench.measure import alternate
from tempreg.bench.memory import GIVEN_BACK
from tempreg.bench.networks import SETTINGS, inputs, network
from tempreg.bench.results import Results
from tempreg.objectives import TRTLoss

FULL, HALF = "float32", "bf16"
RELU = "ReLU, bf16"
"""The floor: ReLU in the neurons' place and weights, too, with channels last, its fastest way."""
ORDER = "float32, weights with channels last"
"""The same numbers, summed in another order: how far rounding alone takes gradients apart."""


def alone(name: str, kind: str, batch: str) -> int:
    """Peak bytes of two steps, weights' gradients and Adam's averages among them."""
    training_step("tiny", kind)()  # what is loaded once doesn't count
    step = training_step(name, kind, int(batch))

    def twice() -> None:
        for _ in range(2):
            step()

    return peak_bytes(twice)


def measure(results: Results, quick: bool) -> None:
    """The convolution first: where it is hopeless, networks take minutes and are small."""
    where = "64 to 64 channels, 16 x 16, 8 images"
    times = alternate({FULL: _convolution(False), HALF: _convolution(True)}, rounds=9, budget=10)
    results.times(where, times, FULL)
    has_bf16 = min(times[HALF]) < min(times[FULL])
    for name in ("csnn", "vggsnn", "resnet19") if has_bf16 and not quick else ("tiny", "csnn"):
        _steps(results, name)


def _steps(results: Results, name: str) -> None:
    """Distances of gradients, then times in turn, then the memory of each."""
    setting = SETTINGS[name]
    where = f"{name}, T {setting.steps}, batch {setting.batch}, training step"
    _distances(results, name, where)
    works = {kind: training_step(name, kind) for kind in (FULL, HALF, RELU)}
    times = alternate(works, rounds=9, budget=90)
    results.times(where, times, FULL)
    results.times(where, {kind: times[kind] for kind in (HALF, RELU)}, RELU)
    del works
    if measures_memory():
        _peaks(results, name)


def _peaks(results: Results, name: str) -> None:
    """Peak memory of each, of the setting's batch and of one four times as large."""
    setting = SETTINGS[name]
    for batch in (setting.batch, 4 * setting.batch):
        peak = {
            kind: in_a_process("bf16", name, kind, str(batch), environment=GIVEN_BACK)
            for kind in (FULL, HALF, RELU)
        }
        where = f"{name}, T {setting.steps}, batch {batch}, training step"
        results.values("peak memory", where, peak, FULL, "bytes")


def _distances(results: Results, name: str, where: str) -> None:
    """Of the first step's gradients, all as one vector, from those of float32."""
    full, *others = (
        torch.cat([g.flatten() for g in training_step(name, kind)()])
        for kind in (FULL, HALF, ORDER)
    )
    for kind, gradients in zip((HALF, ORDER), others, strict=True):
        distance = float((gradients - full).norm() / full.norm())
        results.single("distance of gradients", where, kind, distance, "of their length")


def _convolution(half: bool) -> Callable[[], object]:
    """Forward and backward pass."""
    conv = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    x = (torch.rand(8, 64, 16, 16) < 0.2).float()
    kind = torch.bfloat16 if half else torch.float32
    conv, x = conv.to(kind), x.to(kind)
    return lambda: conv(x).sum().backward()


def training_step(name: str, kind: str, batch: int | None = None) -> Callable[[], list[Tensor]]:
    """Forward pass, TRT objective, backward pass, Adam, with `precision: bf16-mixed` or without;
    returns the gradients. `batch` is the setting's own where None."""
    setting = SETTINGS[name]
    setting = setting._replace(batch=batch or setting.batch)
    model, x = network(name, "ReLU" if kind == RELU else "tempreg"), inputs(setting)
    if kind in (RELU, ORDER):
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    criterion, y = TRTLoss(model), torch.arange(setting.batch) % 10
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run() -> list[Tensor]:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16) if kind in (HALF, RELU) else nullcontext():
            outputs = model(x)
        criterion(outputs, y).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        optimizer.step()
        return gradients

    return run
