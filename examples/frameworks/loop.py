"""The training loop that the examples in this folder share: TRT on N-MNIST recordings.

It asks no more of a model than logits [T, B, 10] of frames [T, B, 2, 34, 34].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import tempreg
from tempreg.data import load_dataset

NUM_STEPS = 4


def fit(model: nn.Module, *, epochs: int = 6, seed: int = 0) -> float:
    """Trains on 700 recordings; the accuracy on 300 others, after all timesteps."""
    data = load_dataset("nmnist", num_steps=NUM_STEPS)
    criterion = tempreg.TRTLoss(model, lam=1e-5, decay=0.5, eta=0.05)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    order = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        model.train()
        for indices in torch.randperm(len(data.train), generator=order).split(32):
            frames, labels = data.train.batch(indices)
            loss = criterion(model(frames), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        terms = "  ".join(f"{name} {value:.4f}" for name, value in criterion.terms.items())
        print(f"epoch {epoch + 1}  {terms}")
    frames, labels = data.test.batch(torch.arange(len(data.test)))
    correct = predictions(model, frames) == labels
    return float(correct.double().mean())


@torch.no_grad()
def predictions(model: nn.Module, frames: Tensor) -> Tensor:
    """Classes [N] by the mean logits of all timesteps."""
    model.eval()
    logits = [model(part) for part in frames.split(50, dim=1)]
    return torch.cat(logits, dim=1).mean(dim=0).argmax(dim=-1)
