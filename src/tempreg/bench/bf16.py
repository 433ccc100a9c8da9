"""bf16 beside float32 on this processor: a convolution, training steps, and how far apart gradients
are; what `precision: auto` decides by is in `runs.precision`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from tempreg.bench.measure import Work, alternate
from tempreg.bench.networks import SETTINGS, inputs, network
from tempreg.bench.results import Results
from tempreg.objectives import TRTLoss

FULL, HALF = "float32", "bf16"


def measure(results: Results, quick: bool) -> None:
    """The convolution first: where it is hopeless, networks take minutes and are small."""
    where = "64 to 64 channels, 16 x 16, 8 images"
    times = alternate({FULL: _convolution(False), HALF: _convolution(True)}, rounds=9, budget=10)
    results.times(where, times, FULL)
    has_bf16 = min(times[HALF]) < min(times[FULL])
    for name in ("csnn", "vggsnn", "resnet19") if has_bf16 and not quick else ("tiny", "csnn"):
        setting = SETTINGS[name]
        where = f"{name}, T {setting.steps}, batch {setting.batch}, training step"
        steps = {kind: training_step(name, kind == HALF) for kind in (FULL, HALF)}
        full, half = (torch.cat([g.flatten() for g in step()]) for step in steps.values())
        distance = float((half - full).norm() / full.norm())
        results.single("distance of gradients", where, HALF, distance, "of their length")
        works: dict[str, Work] = {**steps}
        results.times(where, alternate(works, rounds=9, budget=60), FULL)


def _convolution(half: bool) -> Callable[[], object]:
    """Forward and backward pass."""
    conv = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    x = (torch.rand(8, 64, 16, 16) < 0.2).float()
    kind = torch.bfloat16 if half else torch.float32
    conv, x = conv.to(kind), x.to(kind)
    return lambda: conv(x).sum().backward()


def training_step(name: str, half: bool) -> Callable[[], list[Tensor]]:
    """Forward pass, TRT objective and backward pass, as with `precision: bf16-mixed` or without;
    returns the gradients."""
    setting = SETTINGS[name]
    model, x = network(name, "tempreg"), inputs(setting)
    criterion, y = TRTLoss(model), torch.arange(setting.batch) % 10

    def run() -> list[Tensor]:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
            outputs = model(x)
        criterion(outputs, y).backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    return run
