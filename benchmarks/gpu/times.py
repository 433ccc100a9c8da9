"""Times on a device, as rows for benchmarks/results/gpu.csv; and where they go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from tempreg import create_model
from tempreg.bench.results import Results, Row
from tempreg.functional import lif, trt_penalty
from tempreg.objectives import TRTLoss

Work = Callable[[], object]
ROUNDS = 9


def finish(device: str) -> None:
    """Until the device has nothing left to do."""
    if device == "cuda":
        torch.cuda.synchronize()


def alternate(
    works: dict[str, Work], device: str, rounds: int, each: int
) -> dict[str, list[float]]:
    """Seconds of each, in turn, round by round, of `each` calls at a time."""
    for work in works.values():
        work()
    finish(device)
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.perf_counter()
            for _ in range(each):
                work()
            finish(device)
            found[name].append((time.perf_counter() - start) / each)
    return found


def rows(device: str) -> list[Row]:
    """All rows; small sizes, on a CPU."""
    found: list[Row] = []
    for part in (_lif, _penalty, _steps):
        results = part(device)
        found += results.rows
    if device == "cuda":
        name = torch.cuda.get_device_name()
        found = [replace(row, processor=name) for row in found]
    return found


def _dtypes(device: str) -> tuple[torch.dtype, ...]:
    half = (torch.bfloat16, torch.float16) if device == "cuda" else ()
    return (torch.float32, *half)


def _backward(make: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Work:
    gradient = torch.ones_like(x)

    def work() -> None:
        torch.autograd.grad(make(x), x, gradient)

    return work


def _lif(device: str) -> Results:
    results = Results("gpu_lif")
    neurons = 4_718_592 if device == "cuda" else 4096
    for steps in (4, 10, 16):
        for dtype in _dtypes(device):
            x = torch.randn(steps, neurons, device=device, dtype=dtype).requires_grad_()
            works = {
                "tempreg, compiled": _backward(lambda x: lif(x, tau=2.0, backend="compiled"), x),
                "ReLU": _backward(torch.relu, x),
            }
            times = alternate(works, device, ROUNDS, 10)
            results.times(f"T {steps}, {neurons:,} neurons, {str(dtype)[6:]}", times, "ReLU")
    return results


def _penalty(device: str) -> Results:
    results = Results("gpu_penalty")
    size = (42, 300_000) if device == "cuda" else (4, 1000)
    for steps in (4, 10):
        weights = [torch.randn(size[1], device=device).requires_grad_() for _ in range(size[0])]

        def penalty(weights: list[torch.Tensor] = weights, steps: int = steps) -> None:
            torch.autograd.grad(trt_penalty(weights, num_steps=steps), weights)

        def squares(weights: list[torch.Tensor] = weights) -> None:
            torch.autograd.grad(sum(w.square().sum() for w in weights), weights)

        works: dict[str, Work] = {"tempreg": penalty, "sum of squares": squares}
        times = alternate(works, device, ROUNDS, 5)
        results.times(f"T {steps}, {size[0]} x {size[1]:,} weights", times, "sum of squares")
    return results


def step_of(
    name: str, device: str, dtype: torch.dtype, *, last: bool = False, relu: bool = False
) -> Work:
    """A training step of a network, or of the same one with ReLU in place of its neurons."""
    steps, batch, side = (10, 32, 48) if name == "vggsnn" else (4, 64, 32)
    if device != "cuda":
        steps, batch, side = 2, 2, 16
    channels = 2 if name in ("vggsnn", "csnn") else 3
    made = {"num_classes": 10, "in_channels": channels, "num_steps": steps, "input_size": side}
    model = create_model(name, **made).to(device)
    if relu:
        for parent in list(model.modules()):
            for child, module in list(parent.named_children()):
                if type(module).__name__ in ("LIF", "IF"):
                    setattr(parent, child, torch.nn.ReLU())
    model = model.to(memory_format=torch.channels_last) if last else model
    objective = TRTLoss(model)
    optimizer = torch.optim.Adam(model.parameters(), fused=device == "cuda")
    x = torch.rand(steps, batch, channels, side, side, device=device)
    y = torch.arange(batch, device=device) % 10

    def work() -> None:
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            outputs = model(x)
        loss = objective(outputs, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return work


def _steps(device: str) -> Results:
    results = Results("gpu_step")
    for name in ("vggsnn", "resnet19") if device == "cuda" else ("csnn",):
        for dtype in _dtypes(device):
            for last in (False, True) if device == "cuda" else (False,):
                works = {
                    "tempreg": step_of(name, device, dtype, last=last),
                    "with ReLU": step_of(name, device, dtype, last=last, relu=True),
                }
                layout = "channels last" if last else "NCHW"
                times = alternate(works, device, 5, 1)
                results.times(f"{name}, {str(dtype)[6:]}, {layout}", times, "with ReLU")
    return results


def profile(device: str) -> Iterator[dict[str, Any]]:
    """What a step's time goes to: the ten most expensive operations."""
    work = step_of("vggsnn" if device == "cuda" else "csnn", device, torch.float32)
    work()
    finish(device)
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if device == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as found:
        work()
        finish(device)
    spent = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    events = sorted(found.key_averages(), key=lambda e: -getattr(e, spent))
    for event in events[:10]:
        took = getattr(event, spent)
        yield {"what": event.key[:80], "ok": True, "us": took, "calls": event.count}
