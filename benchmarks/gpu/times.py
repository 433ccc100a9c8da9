"""Times on a device, as rows for benchmarks/results/gpu.csv; and where they go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from benchmarks.gpu.device import Device

from tempreg import create_model
from tempreg.bench.results import Results, Row
from tempreg.functional import lif, trt_penalty
from tempreg.neurons import Neuron
from tempreg.objectives import TRTLoss

Work = Callable[[], object]
ROUNDS = 9


def alternate(
    works: dict[str, Work], device: Device, rounds: int, each: int
) -> dict[str, list[float]]:
    """Seconds of each, in turn, round by round, of `each` calls at a time."""
    for work in works.values():
        work()
    device.finish()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(min(rounds, 2) if device.small else rounds):
        for name, work in works.items():
            start = time.perf_counter()
            for _ in range(each):
                work()
            device.finish()
            found[name].append((time.perf_counter() - start) / each)
    return found


def rows(device: Device) -> list[Row]:
    """All rows; small sizes in a dry run."""
    return [row for part in (_lif, _penalty, _steps) for row in part(device).rows]


def dtypes(device: Device) -> tuple[torch.dtype, ...]:
    """float32, and half precision."""
    return (torch.float32, *device.halves)


def backward(make: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Work:
    """Forward and backward pass of it."""
    gradient = torch.ones_like(x)

    def work() -> None:
        torch.autograd.grad(make(x), x, gradient)

    return work


def _lif(device: Device) -> Results:
    results = Results("gpu_lif")
    neurons = 64 if device.small else 4_718_592
    for steps in (4, 10, 16):
        for dtype in dtypes(device):
            x = torch.randn(steps, neurons, device=device.place, dtype=dtype).requires_grad_()
            works = {
                "tempreg": backward(lambda x: lif(x, tau=2.0, backend=device.backend), x),
                "ReLU": backward(torch.relu, x),
            }
            times = alternate(works, device, ROUNDS, 10)
            results.times(f"T {steps}, {neurons:,} neurons, {str(dtype)[6:]}", times, "ReLU")
    return results


def _penalty(device: Device) -> Results:
    results = Results("gpu_penalty")
    size = (4, 100) if device.small else (42, 300_000)
    for steps in (4, 10):
        weights = [
            torch.randn(size[1], device=device.place).requires_grad_() for _ in range(size[0])
        ]

        def penalty(weights: list[torch.Tensor] = weights, steps: int = steps) -> None:
            torch.autograd.grad(trt_penalty(weights, num_steps=steps), weights)

        def squares(weights: list[torch.Tensor] = weights) -> None:
            torch.autograd.grad(sum(w.square().sum() for w in weights), weights)

        works: dict[str, Work] = {"tempreg": penalty, "sum of squares": squares}
        times = alternate(works, device, ROUNDS, 5)
        results.times(f"T {steps}, {size[0]} x {size[1]:,} weights", times, "sum of squares")
    return results


def step_of(
    name: str,
    device: Device,
    dtype: torch.dtype,
    *,
    last: bool = False,
    neurons: Callable[[], torch.nn.Module] | None = None,
) -> Work:
    """A training step of a network, or of the same one with others in place of its neurons."""
    steps, batch, side = (10, 32, 48) if name == "vggsnn" else (4, 64, 32)
    more: dict[str, Any] = {}
    if device.small:
        steps, batch, side, more = 2, 2, 8, {"channels": (4, 6)}
    channels = 2 if name in ("vggsnn", "csnn") else 3
    made = {"num_classes": 10, "in_channels": channels, "num_steps": steps, "input_size": side}
    model = create_model(name, backend=device.backend, **made, **more).to(device.place)
    if neurons is not None:
        for parent in list(model.modules()):
            for child, module in list(parent.named_children()):
                if isinstance(module, Neuron):
                    setattr(parent, child, neurons().to(device.place))
    model = model.to(memory_format=torch.channels_last) if last else model
    objective = TRTLoss(model)
    optimizer = torch.optim.Adam(model.parameters(), fused=not device.small)
    x = torch.rand(steps, batch, channels, side, side, device=device.place)
    y = torch.arange(batch, device=device.place) % 10

    def work() -> None:
        with torch.autocast(device.place.type, dtype, enabled=dtype != torch.float32):
            outputs = model(x)
        loss = objective(outputs, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return work


def _steps(device: Device) -> Results:
    results = Results("gpu_step")
    for name in ("csnn",) if device.small else ("vggsnn", "resnet19"):
        for dtype in dtypes(device):
            for last in (False, True):
                works = {
                    "tempreg": step_of(name, device, dtype, last=last),
                    "with ReLU": step_of(name, device, dtype, last=last, neurons=torch.nn.ReLU),
                }
                layout = "channels last" if last else "NCHW"
                times = alternate(works, device, 5, 1)
                results.times(f"{name}, {str(dtype)[6:]}, {layout}", times, "with ReLU")
    return results


def profile(device: Device) -> Iterator[dict[str, Any]]:
    """What a step's time goes to: the ten most expensive operations."""
    name = "csnn" if device.small else "vggsnn"
    for event, took, calls in device.spent(step_of(name, device, torch.float32))[:10]:
        yield {"what": event[:80], "ok": True, "us": took, "calls": calls}
