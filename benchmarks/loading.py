"""What share of a training step of csnn is spent waiting for data.

    python benchmarks/loading.py [--workers 0 1] [--steps 60]

Embedded N-MNIST (preset nmnist-trt), and the same with every batch decoded from zlib, sample by
sample, as data is that doesn't fit into memory. Passes with different numbers of workers are run
in turn; each figure is the least over three passes, the first batch of a pass left out.
"""

from __future__ import annotations

import argparse
import time
import zlib
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tempreg.config import PRESETS, RunConfig
from tempreg.data import DataSet, Split
from tempreg.runs.build import build_data, build_model, build_objective, build_optimizer
from tempreg.training.loading import Loader


class Compressed(Split):
    """Samples that are decompressed whenever they are asked for. Final."""

    def __init__(self, split: Split) -> None:
        self.targets = split.targets
        x = split.inputs(torch.arange(len(split))).movedim(1, 0).contiguous()
        self.shape = x.shape[1:]
        self.packed = [zlib.compress(sample.numpy().tobytes(), 1) for sample in x]

    def inputs(self, indices: Tensor) -> Tensor:
        rows = [
            torch.from_numpy(
                np.frombuffer(zlib.decompress(self.packed[i]), np.float32)
                .reshape(self.shape)
                .copy()
            )
            for i in indices.tolist()
        ]
        return torch.stack(rows, dim=1)


def one_pass(config: RunConfig, data: DataSet, loader: Loader, steps: int) -> tuple[float, float]:
    """Seconds waited and seconds in all, for the steps after the first."""
    network = build_model(config, data)
    objective = build_objective(config, network)
    optimizer = build_optimizer(config, network)
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    places = order.repeat(1 + steps * config.batch_size // len(order)).split(config.batch_size)
    waited, begun = 0.0, 0.0
    batches = loader.batches("train", places[: steps + 1])
    for index in range(steps + 1):
        start = time.perf_counter()
        x, y = next(batches)
        waited += time.perf_counter() - start if index else 0.0
        loss = objective(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if index == 0:
            begun = time.perf_counter()
    return waited, time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    config = PRESETS["nmnist-trt"]()
    embedded = build_data(config)
    slow = replace(embedded, train=Compressed(embedded.train))
    first = torch.arange(32)
    assert torch.equal(slow.train.inputs(first), embedded.train.inputs(first))
    for name, data in (("in memory", embedded), ("decompressed", slow)):
        loaders = {count: Loader(data, workers=count) for count in args.workers}
        passes = [
            {n: one_pass(config, data, loader, args.steps) for n, loader in loaders.items()}
            for _ in range(3)
        ]
        for count, loader in loaders.items():
            loader.close()
            waited, whole = min((p[count] for p in passes), key=lambda pair: pair[0] / pair[1])
            print(
                f"N-MNIST {name:13} workers {count}: {waited / whole:6.1%} of the time waiting, "
                f"{1e3 * whole / args.steps:.0f} ms a step"
            )


if __name__ == "__main__":
    main()
