"""A training step of transformers, MS-ResNet-18 and rsnn, as ratios to ReLU's and GELU's.

python benchmarks/newer_networks.py

The networks of the presets on frames like N-MNIST's: T 6, a batch of 32, 34 x 34 (QKFormer 17 x
17). The same network with ReLU (or GELU) in place of every layer of neurons, recurrent weights with
them. Processor time of forward, TRTLoss and backward on one thread, alternated; peak memory of two
such steps, each in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

import tempreg
from tempreg.bench.alone import measures_memory, peak_bytes
from tempreg.bench.networks import exchange
from tempreg.config import PRESETS
from tempreg.neurons import Neuron, StepNeuron
from tempreg.options.sizes import SizeOptions

NAMES = {
    "spikformer": "nmnist-spikformer",
    "spike_driven_transformer": "nmnist-spike-driven",
    "qkformer": "nmnist-qkformer",
    "ms_resnet18": "nmnist-ms-resnet",
    "rsnn": "nmnist-rsnn",
}
VARIANTS: dict[str, Callable[[], nn.Module] | None] = {
    "spiking": None,
    "ReLU": nn.ReLU,
    "GELU": nn.GELU,
}
STEPS, BATCH, ROUNDS = 6, 32, 7


def step(name: str, variant: str) -> Callable[[], None]:
    """One training step, without the optimiser's."""
    config = PRESETS[NAMES[name]]()
    size = config.data.size or 34
    chosen = {k: getattr(config.model, k) for k in (*SizeOptions.__dataclass_fields__, "channels")}
    options = {k: v for k, v in chosen.items() if v not in (None, True)}
    torch.manual_seed(0)
    model = tempreg.create_model(
        name, num_classes=10, in_channels=2, num_steps=STEPS, input_size=size, **options
    )
    make = VARIANTS[variant]
    if make is not None:
        for kind in (Neuron, StepNeuron):
            exchange(model, kind, lambda _: make())
    x = (torch.rand(STEPS, BATCH, 2, size, size) < 0.1).float()
    y = torch.arange(BATCH) % 10
    criterion = tempreg.TRTLoss(model)

    def run() -> None:
        model.zero_grad()
        criterion(model(x), y).backward()

    return run


def seconds(work: Callable[[], None]) -> float:
    """Processor time."""
    start = time.process_time()
    work()
    return time.process_time() - start


def alone(name: str, variant: str) -> int:
    """Peak bytes of two steps."""
    step("rsnn", variant)()  # what is loaded once doesn't count
    work = step(name, variant)
    return peak_bytes(lambda: [work() for _ in range(2)])


def main() -> None:
    torch.set_num_threads(1)
    if len(sys.argv) == 3:
        print(alone(*sys.argv[1:]))
        return
    print("network, variant: times of spiking / variant, memory of spiking / variant")
    for name in NAMES:
        works = {variant: step(name, variant) for variant in VARIANTS}
        times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for round_ in range(ROUNDS + 1):
            for variant, work in works.items():
                took = seconds(work)
                times[variant] += [took] if round_ else []
        del works
        peaks = {}
        if measures_memory():
            for variant in VARIANTS:
                command = [sys.executable, __file__, name, variant]
                peaks[variant] = int(subprocess.check_output(command, text=True))
        for variant in ("ReLU", "GELU"):
            ratio = min(times["spiking"]) / min(times[variant])
            memory = f"{peaks['spiking'] / peaks[variant]:.2f}" if peaks else "-"
            size = f"{peaks['spiking'] / 2**20:.0f} MiB" if peaks else ""
            spent = f"{1000 * min(times['spiking']):.0f} ms"
            print(f"{name:26}{variant:6}{ratio:6.2f} ({spent}) {memory:>6} ({size})", flush=True)


if __name__ == "__main__":
    main()
