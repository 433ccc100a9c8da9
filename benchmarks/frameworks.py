"""Accuracy of the examples of other frameworks beside a csnn of the same shape and neurons.

    python benchmarks/frameworks.py spikingjelly snntorch norse --seeds 5

For each seed both start from the same weights of convolutions and head and see the same batches.
Prints each, the paired differences with their 95% t interval, and seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

import tempreg
from tempreg.study.statistics.paired import paired

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "frameworks"))


SAME_NEURON: dict[str, dict[str, Any]] = {
    "spikingjelly": {},
    "snntorch": {"surrogate": "atan", "surrogate_param": 2.0, "detach_reset": True},
    "norse": {},
    "sinabs": {"detach_reset": True},  # its exponential surrogate is none of ours
}
"""What makes our neuron the one of each example; see docs/frameworks.md."""


def native(like: nn.Module, **neuron: Any) -> nn.Module:
    """A csnn of the examples' shape, with the weights of `like` where both have such layers."""
    model = tempreg.create_model(
        "csnn", num_classes=10, in_channels=2, num_steps=4, input_size=34, channels=(16, 32),
        **neuron,
    )  # fmt: skip
    for own, other in zip(weighted(model), weighted(like), strict=True):
        own.load_state_dict(other.state_dict())
    return model


def weighted(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def main(frameworks: list[str], seeds: int, epochs: int) -> None:
    fit = import_module("loop").fit
    torch.set_num_threads(1)
    for name in frameworks:
        example, pairs, seconds = import_module(f"{name}_trt"), [], [0.0, 0.0]
        for seed in range(seeds):
            torch.manual_seed(seed)
            foreign = example.network()
            accuracies = []
            for index, model in enumerate((foreign, native(foreign, **SAME_NEURON[name]))):
                start = time.perf_counter()
                accuracies.append(fit(model, epochs=epochs, seed=seed))
                seconds[index] += (time.perf_counter() - start) / seeds
            pairs.append(accuracies)
        theirs, ours = zip(*pairs, strict=True)
        found = paired([100 * (a - b) for a, b in pairs])
        print(f"{name}: {percent(theirs)}   csnn: {percent(ours)}")
        print(
            f"  mean difference {found.mean:+.1f} points, 95% {found.low:+.1f} to "
            f"{found.high:+.1f}; seconds {seconds[0]:.1f} and {seconds[1]:.1f}"
        )


def percent(values: Iterable[float]) -> str:
    return " ".join(f"{100 * value:.1f}" for value in values)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frameworks", nargs="+", choices=SAME_NEURON)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6)
    asked = parser.parse_args()
    main(asked.frameworks, asked.seeds, asked.epochs)
