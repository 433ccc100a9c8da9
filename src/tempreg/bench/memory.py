"""Peak memory and time of a training step over T: with everything kept, with layers or time
computed again, and truncated.

A plain network of 3x3 convolutions on 16x16 event frames, with and without batch norm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tempreg.bench.agree import agree
from tempreg.bench.alone import alone as in_a_process
from tempreg.bench.alone import measures_memory, peak_bytes
from tempreg.bench.measure import Work, alternate
from tempreg.bench.results import Results
from tempreg.models.recompute import choose_recompute
from tempreg.models.vgg import PlainNetwork
from tempreg.objectives import TRTLoss
from tempreg.training.passes import make_passes

WIDTH, DEPTH, BATCH = 64, 8, 8
STEPS = (4, 16, 64)
KEPT = "all kept"
WAYS: dict[str, dict[str, Any]] = {
    KEPT: {},
    "layers again": {"recompute": "layers"},
    "time again": {"recompute": "time"},
    "truncate 4": {"truncate": 4},
}
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072"}
"""With this, glibc gives memory back when it is freed. Left alone it keeps what it expects to need
again, in pieces that the next layer's sizes don't fit into, and what is measured is that."""


def ways_of(norm: str) -> list[str]:
    """Those that a network with this norm can have."""
    return [way for way in WAYS if norm == "none" or way != "time again"]


def training_step(
    norm: str, steps: int, way: str, dtype: torch.dtype = torch.float32, depth: int = DEPTH
) -> Callable[[], list[Tensor]]:
    """Forward, TRT objective, backward and Adam; returns the logits and the gradients."""
    torch.manual_seed(0)
    model = PlainNetwork(
        [WIDTH] * depth,
        input_size=16,
        num_classes=10,
        in_channels=2,
        num_steps=steps,
        norm=norm,
        v_threshold=1.0 if norm == "bn" else 0.3,  # without a norm few neurons would fire
    ).to(dtype)
    choose_recompute(model, WAYS[way].get("recompute") == "layers")
    passes = make_passes(model, model, None, **WAYS[way])
    x = (torch.rand(steps, BATCH, 2, 16, 16) < 0.2).to(dtype)
    y = torch.arange(BATCH) % 10
    criterion = TRTLoss(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run() -> list[Tensor]:
        outputs = passes.outputs(x)
        optimizer.zero_grad()
        criterion(outputs, y).backward()
        passes.finish()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        optimizer.step()
        return [outputs.detach(), *gradients]

    return run


def alone(norm: str, steps: str, way: str) -> int:
    """Peak bytes that a step adds."""
    training_step(norm, 2, way, depth=2)()  # what is loaded once doesn't count
    return peak_bytes(training_step(norm, int(steps), way))


def measure(results: Results, quick: bool) -> None:
    """Each way over keeping all, by norm and T: times, then memory."""
    for norm in ("none", "bn"):
        exact = [way for way in ways_of(norm) if not way.startswith("truncate")]
        steps = {way: training_step(norm, 6, way, torch.float64, 2)() for way in exact}
        for way in exact[1:]:
            agree(f"{way}, norm {norm}", steps[way], steps[KEPT], 1e-9)
        for timesteps in STEPS[:2] if quick else STEPS:
            ways = ways_of(norm)
            works: dict[str, Work] = {way: training_step(norm, timesteps, way) for way in ways}
            where = f"norm {norm}, T {timesteps}"
            results.times(where, alternate(works, rounds=7, budget=60), KEPT)
            del works
            if measures_memory():
                peaks(results, norm, timesteps)


def peaks(results: Results, norm: str, timesteps: int) -> None:
    """Peak memory of each way, over that of keeping all, and that."""
    peak = {
        way: in_a_process("memory", norm, str(timesteps), way, environment=GIVEN_BACK)
        for way in ways_of(norm)
    }
    where = f"norm {norm}, T {timesteps}"
    results.values("peak memory", where, peak, KEPT, "bytes")
    results.single("peak memory kept", where, KEPT, peak[KEPT], "bytes")
