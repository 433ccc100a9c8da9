"""Forward and backward of neurons beyond LIF, as ratios to LIF with the compiled backend.

python benchmarks/step_neurons.py
"""

from __future__ import annotations

import time

import torch

import tempreg

SHAPE = (8, 64, 16, 32, 32)
ROUNDS = 8


def seconds(neuron: torch.nn.Module, x: torch.Tensor) -> float:
    """Processor time of one forward and backward pass."""
    start = time.process_time()
    neuron(x).sum().backward()
    return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    x = torch.randn(SHAPE).requires_grad_()
    neurons = {
        "LIF": tempreg.LIF(),
        "ALIF": tempreg.ALIF(),
        "CubaLIF": tempreg.CubaLIF(),
        "ALIF, loop": tempreg.ALIF(backend="reference"),
        "ThresholdLIF": tempreg.ThresholdLIF(),
        "PSN": tempreg.PSN(SHAPE[0]),
        "MaskedPSN": tempreg.MaskedPSN(SHAPE[0]),
        "SlidingPSN": tempreg.SlidingPSN(),
    }
    found: dict[str, list[float]] = {name: [] for name in neurons}
    for _ in range(ROUNDS):
        for name, neuron in neurons.items():
            found[name].append(seconds(neuron, x))
    for name, values in found.items():
        print(f"{name:14}{min(values) / min(found['LIF']):6.2f}")


if __name__ == "__main__":
    main()
