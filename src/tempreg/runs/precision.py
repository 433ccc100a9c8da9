"""What `precision: auto` is on this machine: bf16 where training steps are faster with it.

A small convolution is tried first, which processors without instructions for bf16 take many times
as long for as in float32; then training steps of the run's own network on more and more samples,
in turn, until half a second is over, in which nothing is compiled. bf16 is taken where it is faster
by a tenth or more, in the least times and in the median of rounds; so a run isn't slower for having
asked. Under bf16 a network has its channels last in memory (`models.convolution`): that is timed.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.config import RunConfig
from tempreg.config.schema import PrecisionName
from tempreg.data import DataSet
from tempreg.models.padding import lengths_for
from tempreg.objectives import Objective
from tempreg.training.run_directory import RunDirectory

SECONDS = 0.5
ENOUGH = 0.9
"""bf16 over float32, of the times: at most this for bf16 to be taken."""
HOPELESS = 1.5
"""From here on in the small convolution, no training step is tried."""
ROUNDS = 3
FEWEST = 2
"""Samples that a trial begins with."""

FULL: PrecisionName = "32-true"
HALF: PrecisionName = "bf16-mixed"


@final
class Precision(NamedTuple):
    """What was settled.

    Attributes:
        name: a precision of `RunConfig`, never "auto".
        measured: for environment.json: nothing, or the ratio of times that decided, of what.
    """

    name: PrecisionName
    measured: dict[str, Any]


def settled(
    config: RunConfig, run: RunDirectory, network: nn.Module, objective: Objective, data: DataSet
) -> Precision:
    """The run's precision: as asked for, as it was begun with, or as measured now."""
    if config.precision != "auto":
        return Precision(config.precision, {})
    if run.environment.exists():
        before = run.read_json(run.environment)
        if "measured_precision" in before:
            kept = {"measured_precision": before["measured_precision"]}
            return Precision(before["precision"], kept)
    found = measured(network, objective, data, config.batch_size)
    half = found["ratio"] <= ENOUGH and found["median"] <= ENOUGH
    return Precision(HALF if half else FULL, {"measured_precision": found})


def of_run(config: RunConfig, run: RunDirectory) -> RunConfig:
    """The settings of a run that is read back, with the precision that "auto" was for it."""
    if config.precision != "auto":
        return config
    return replace(config, precision=run.read_json(run.environment)["precision"])


def measured(network: nn.Module, objective: Objective, data: DataSet, most: int) -> dict[str, Any]:
    """bf16 over float32: `ratio` of least times and `median` of rounds, and what was timed.

    Network and objective are copied, no random number is drawn from the run's, and at most `most`
    samples are taken.
    """
    until = time.perf_counter() + SECONDS
    with torch.random.fork_rng(devices=[]):
        first = _compared(_convolution(), until)
        if first[0] >= HOPELESS:
            return _record(first, "a convolution")
        trial = _Trial(network, objective, data)
        samples = min(FEWEST, most, len(data.train))
        for half in (False, True):  # kernels that were never compiled are compiled now
            trial.step(samples)(half)
        until = time.perf_counter() + SECONDS
        while True:
            found = _compared(trial.step(samples), until)
            larger = min(2 * samples, most, len(data.train))
            if found[0] >= HOPELESS or larger == samples or time.perf_counter() > until:
                return _record(found, f"a training step on {samples} samples")
            samples = larger


def _record(found: tuple[float, float], what: str) -> dict[str, Any]:
    ratio, middle = found
    return {"of": what, "ratio": round(ratio, 3), "median": round(middle, 3)}


def _compared(work: Callable[[bool], object], until: float) -> tuple[float, float]:
    """bf16 over float32 of work(in bf16): of the least times, and the median of single rounds.

    No round but the first is begun after `until`, a time of time.perf_counter.
    """
    for half in (False, True):
        work(half)
    times: dict[bool, list[float]] = {False: [], True: []}
    for done in range(ROUNDS):
        if done and time.perf_counter() > until:
            break
        for half, found in times.items():
            start = time.perf_counter()
            work(half)
            found.append(time.perf_counter() - start)
    rounds = [b / a for a, b in zip(times[False], times[True], strict=True)]
    return min(times[True]) / min(times[False]), median(rounds)


def _convolution() -> Callable[[bool], object]:
    """Forward and backward pass of 64 channels on 8 images of 16 x 16."""
    x = (torch.rand(8, 64, 16, 16) < 0.2).float()
    weight = torch.randn(64, 64, 3, 3).requires_grad_()

    def work(half: bool) -> None:
        kind = torch.bfloat16 if half else torch.float32
        F.conv2d(x.to(kind), weight.to(kind), padding=1).sum().backward()

    return work


@final
class _Trial:
    """Training steps of a copy of the network, without the optimizer's, which both have."""

    def __init__(self, network: nn.Module, objective: Objective, data: DataSet) -> None:
        self.network, self.objective = copy.deepcopy((network, objective))
        self.network.train()
        self.objective.begin_epoch(0, 1)
        self.data = data

    def step(self, samples: int) -> Callable[[bool], object]:
        """Forward pass, loss and backward pass of the first samples."""
        x, y = self.data.train.batch(torch.arange(samples))

        def work(half: bool) -> Tensor:
            self.network.zero_grad()
            with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
                outputs = self.network(x)
            loss: Tensor = self.objective(outputs.float(), y, lengths_for(self.network, x))
            loss.backward()
            return loss

        return work
