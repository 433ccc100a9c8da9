"""Ratios of what the analyses promise: Fisher information against plain loops, on `csnn`.

    python benchmarks/analysis.py

T 6, 64 samples of N-MNIST, fresh weights. Results are compared before times; see
`tempreg.bench.measure` for how the ratios are made.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tempreg import create_model
from tempreg.analysis import fisher_information
from tempreg.bench.measure import compare
from tempreg.data import load_dataset

STEPS, SAMPLES = 6, 64


def main(rounds: int = 5) -> None:
    torch.manual_seed(0)
    model = create_model("csnn", num_classes=10, in_channels=2, num_steps=STEPS, input_size=34)
    x, y = load_dataset("nmnist", num_steps=STEPS).train.batch(torch.arange(SAMPLES))
    model.eval()
    parameters = list(model.parameters())

    def squares(x: Tensor, y: Tensor) -> list[float]:
        """One forward pass, T backward passes."""
        o = model(x)
        made = []
        for t in range(STEPS):
            loss = F.cross_entropy(o[: t + 1].mean(dim=0), y)
            grads = torch.autograd.grad(loss, parameters, retain_graph=t + 1 < STEPS)
            made.append(float(sum(g.square().sum() for g in grads)))
        return made

    def loop() -> object:
        return np.mean([squares(x[:, n : n + 1], y[n : n + 1]) for n in range(SAMPLES)], axis=0)

    def sweeps(x: Tensor, y: Tensor) -> None:
        """T separate passes, forward and backward."""
        for t in range(STEPS):
            loss = F.cross_entropy(model(x)[: t + 1].mean(dim=0), y)
            grads = torch.autograd.grad(loss, parameters)
            float(sum(g.square().sum() for g in grads))

    def plain_loop() -> None:
        for n in range(SAMPLES):
            sweeps(x[:, n : n + 1], y[n : n + 1])

    def exact() -> object:
        return fisher_information(model, x, y).per_step

    def signs() -> object:
        return fisher_information(model, x, y, estimator="signs", draws=1, chunk=SAMPLES)

    np.testing.assert_allclose(exact(), loop(), rtol=1e-3)
    compare("loop over samples and t / exact", plain_loop, exact, rounds)
    compare("loop over samples, one forward pass each / exact", loop, exact, rounds)
    compare("loop over samples / one whole-batch pass", loop, lambda: squares(x, y), rounds)
    compare("signs / T forward and backward passes", signs, lambda: sweeps(x, y), rounds)


if __name__ == "__main__":
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; ratios of minima")
    main()
