"""TRT in a loop of your own: plain PyTorch around a network and a loss from tempreg.

python examples/plain_loop.py [EPOCHS]
"""

from __future__ import annotations

import sys

import torch

import tempreg
from tempreg.data import load_dataset


def main(epochs: int) -> None:
    torch.manual_seed(0)
    data = load_dataset("nmnist", num_steps=4)
    model = tempreg.create_model(
        "csnn", num_classes=10, in_channels=2, num_steps=4, input_size=34, channels=(16, 32)
    )
    criterion = tempreg.TRTLoss(model, lam=1e-5, decay=0.5, eta=0.05)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        for indices in torch.randperm(len(data.train)).split(32):
            frames, labels = data.train.batch(indices)
            loss = criterion(model(frames), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        terms = "  ".join(f"{name} {value:.4f}" for name, value in criterion.terms.items())
        print(f"epoch {epoch + 1}  {terms}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
