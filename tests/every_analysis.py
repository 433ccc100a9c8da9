"""Every function of `tempreg.analysis`, called on a network, inputs and targets; see its tests on a
device that isn't there, and `benchmarks.gpu.correctness`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tempreg import LIF, analysis
from tempreg.objectives import StepLoss, TRTLoss

STEPS, CLASSES = 3, 3


class Small(nn.Module):
    """[B, 2, 2, 2] or [T, B, 2, 2, 2] to logits [T, B, classes]. Final."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.head = nn.Linear(8, 4), nn.Linear(4, CLASSES)
        self.neurons = LIF(backend="eager")

    def forward(self, x: Tensor) -> Tensor:
        current = self.first(x.flatten(-3))
        spikes = self.neurons(current if x.ndim == 5 else current.expand(STEPS, -1, -1))
        logits: Tensor = self.head(spikes)
        return logits


ANALYSES: dict[str, Callable[[Any, Tensor, Tensor], Any]] = {
    "anytime": analysis.anytime,
    "early_exits": lambda model, x, y: analysis.early_exits(
        *(many := (model(x).detach().repeat(1, 4, 1), y.repeat(4))), calibration=many, risks=(0.3,)
    ),
    "early_robustness": analysis.early_robustness,
    "fisher_information": lambda *a: [
        analysis.fisher_information(*a, estimator=e, labels=labels, draws=2, resamples=10)
        for e in ("exact", "signs", "batch")
        for labels in ("true", "sampled")
    ],
    "flatness": lambda *a: analysis.flatness(
        *a, points=3, plane_points=3, sigmas=(0.1,), draws=1, rhos=(0.1,), ascent_steps=1,
        calibration=a[1:], gains=True,
    ),
    "generalization_gap": lambda model, x, y: analysis.generalization_gap(model, (x, y), (x, y)),
    "linear_probes": lambda model, x, y: analysis.linear_probes(model, (x, y), (x, y)),
    "own_gradients": lambda model, x, y: analysis.own_gradients({1: model}, x, y, TRTLoss(model)),
    "spikes": lambda model, x, y: analysis.spikes(model, x),
    "step_transfer": lambda model, x, y: analysis.step_transfer(
        lambda steps: (model, x[:steps], y), [1, 3]
    ),
    "surrogate_curvature": lambda *a: analysis.surrogate_curvature(*a, probes=1),
    "temporal_gradients": lambda *a: analysis.temporal_gradients(*a, TRTLoss(a[0])),
    "weight_gradients_by_step": lambda *a: analysis.weight_gradients_by_step(*a, StepLoss()),
}  # fmt: skip


def numbers(found: Any) -> Iterator[float]:
    """All numbers of a result, in order."""
    if isinstance(found, Tensor):
        yield from found.flatten().tolist()
    elif isinstance(found, np.ndarray):
        yield from map(float, found.ravel()) if found.dtype.kind in "fiub" else ()
    elif isinstance(found, dict):
        for value in found.values():
            yield from numbers(value)
    elif isinstance(found, list | tuple):
        for value in found:
            yield from numbers(value)
    elif isinstance(found, int | float):
        yield float(found)
    elif hasattr(found, "__dataclass_fields__"):
        yield from numbers(asdict(found))
