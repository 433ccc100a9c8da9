"""TRT in PyTorch Lightning: the loss in a LightningModule, and what tempreg measures in a callback.

    python examples/lightning_callback.py [EPOCHS]        (pip install pytorch-lightning)

`Measured` is the part to take over: it logs the terms of the loss, and after each epoch the
accuracy at every timestep and the centroid of the Fisher information on a few fixed samples.
"""

from __future__ import annotations

import sys
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import tempreg
from tempreg.data import DataSet, load_dataset

Batch = tuple[Tensor, Tensor]


class SpikingClassifier(pl.LightningModule):
    """A network whose logits keep their time dimension, trained with TRT. Final."""

    def __init__(self, num_steps: int) -> None:
        super().__init__()
        self.network = tempreg.create_model(
            "csnn", num_classes=10, in_channels=2, num_steps=num_steps, input_size=34,
            channels=(16, 32),
        )  # fmt: skip
        self.criterion = tempreg.TRTLoss(self.network, lam=1e-5, decay=0.5, eta=0.05)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        frames, labels = batch
        loss: Tensor = self.criterion(self.network(frames), labels)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.network.parameters(), lr=2e-3)


class Measured(pl.Callback):
    """Logs the loss's terms by batch, and by epoch what a few fixed samples show. Final.

    Args:
        network: gives logits [T, N, classes].
        criterion: what it is trained with.
        frames: [T, N, C, H, W], never augmented.
        labels: [N].
    """

    def __init__(
        self, network: nn.Module, criterion: tempreg.Objective, frames: Tensor, labels: Tensor
    ) -> None:
        self.network, self.criterion = network, criterion
        self.frames, self.labels = frames, labels

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        module.log_dict(
            {name: float(value) for name, value in self.criterion.terms.items()},
            on_step=False, on_epoch=True, batch_size=1,
        )  # fmt: skip

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        x, y = self.frames.to(module.device), self.labels.to(module.device)
        network = self.network.eval()
        with torch.no_grad():
            right = network(x).cumsum(0).argmax(-1) == y
        fisher = tempreg.analysis.fisher_information(network, x, y)
        network.train()
        by_step = {f"accuracy_{t}": float(r.float().mean()) for t, r in enumerate(right, 1)}
        module.log_dict({**by_step, "fisher_centroid": float(fisher.centroid)})


def loader(data: DataSet) -> DataLoader[Batch]:
    """Shuffled batches, time first."""
    return DataLoader(
        range(len(data.train)),  # type: ignore[arg-type]  # indices, which become a batch below
        batch_size=32,
        shuffle=True,
        collate_fn=lambda indices: data.train.batch(torch.tensor(indices)),
    )


def main(epochs: int) -> None:
    pl.seed_everything(0, verbose=False)
    data = load_dataset("nmnist", num_steps=4)
    module = SpikingClassifier(num_steps=4)
    measured = Measured(module.network, module.criterion, *data.validation.batch(torch.arange(32)))
    trainer = pl.Trainer(
        max_epochs=epochs, callbacks=[measured], accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader(data))
    for name, value in trainer.callback_metrics.items():
        print(f"{name} {float(value):.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
