"""The penalty and its gradient: the closed form against the definition as a loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tempreg.bench.agree import agree
from tempreg.bench.alone import alone as in_a_process
from tempreg.bench.alone import measures_memory, peak_bytes
from tempreg.bench.measure import alternate
from tempreg.bench.networks import training_step
from tempreg.bench.published import DECAY, EPS, LAM, penalty_loop
from tempreg.bench.results import Results
from tempreg.functional import trt_penalty
from tempreg.objectives.select import selected_parameters


def parameters(quick: bool) -> list[Tensor]:
    """Weights as of a network's 3x3 convolutions: 12.6 million, or 0.3 million."""
    torch.manual_seed(0)
    shapes = [(64, 64, 3, 3)] * 8 if quick else [(512, 512, 3, 3)] * 5 + [(800_000,)]
    return [torch.randn(shape).mul_(0.02).requires_grad_() for shape in shapes]


def _ways(params: list[Tensor], steps: int) -> dict[str, Callable[[], Tensor]]:
    return {
        "loop": lambda: penalty_loop(params, steps),
        "tempreg": lambda: trt_penalty(params, num_steps=steps, lam=LAM, decay=DECAY, eps=EPS),
    }


def _run(way: Callable[[], Tensor], params: list[Tensor]) -> list[Tensor]:
    value = way()
    return [value, *torch.autograd.grad(value, params)]


def alone(way: str, steps: str, quick: str) -> int:
    """Peak bytes of value and gradients by one way, the gradients among them."""
    params = parameters(quick == "quick")
    small = [torch.ones(3, requires_grad=True)]
    _run(_ways(small, 2)[way], small)  # what is loaded once doesn't count
    work = _ways(params, int(steps))[way]
    return peak_bytes(lambda: _run(work, params))


def measure(results: Results, quick: bool) -> None:
    """Time and memory at T 4, 6 and 10, and the share of a training step of resnet19."""
    params = parameters(quick)
    count = sum(p.numel() for p in params)
    for steps in (4,) if quick else (4, 6, 10):
        setting = f"T {steps}, {count / 1e6:.1f} M weights"
        ways = _ways(params, steps)
        found = {name: _run(way, params) for name, way in ways.items()}
        agree(f"penalty, {setting}", found["tempreg"], found["loop"], 1e-5)
        del found
        works = {name: lambda w=way: _run(w, params) for name, way in ways.items()}
        results.times(setting, alternate(works, rounds=11, budget=60), "tempreg")
        if measures_memory():
            peak = {
                name: in_a_process("penalty", name, str(steps), "quick" if quick else "full")
                for name in ways
            }
            results.values(
                "peak memory",
                setting,
                {**peak, "the parameters": 4.0 * count},
                "the parameters",
                "bytes",
            )
    _share(results, quick)


def _share(results: Results, quick: bool) -> None:
    """The penalty's forward, backward and adding to gradients that are there, within a step."""
    name = "csnn" if quick else "resnet19"
    step = training_step(name, "tempreg")
    step.run()
    weights = list(selected_parameters(step.model, "paper").values())

    def alone() -> None:
        trt_penalty(weights, num_steps=step.steps, lam=LAM, decay=DECAY, eps=EPS).backward()

    # More rounds of the short one, close to the long one: its least time is of all of them.
    works = {"training step": step.run, "penalty": alone}
    times = alternate(works, rounds=9, budget=90)
    results.times(f"{name}, T {step.steps}, batch {step.batch}", times, "training step")
