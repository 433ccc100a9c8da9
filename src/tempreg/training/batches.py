"""The batches of an epoch: in which order, which part is a process's own, and what is drawn.

All draws are by (seed, epoch, batch) and for the whole joint batch, so that it makes no difference
to a sample which process holds it, nor how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tempreg.data.augment import Augmentation
from tempreg.data.base import DataSet
from tempreg.models.layers import Dropout
from tempreg.training.loading import Batch
from tempreg.training.processes import Processes
from tempreg.training.streams import stream, stream_seed


@dataclass(frozen=True)
class TrainingBatches:
    """What one process sees of each joint batch. Final.

    Attributes:
        processes: they share each batch.
        network: its `Dropout` layers are told what part of a batch they get.
        data: its training split.
        augmentation: of that split.
        seed: of order, augmentation and dropout.
    """

    processes: Processes
    network: nn.Module
    data: DataSet
    augmentation: Augmentation
    seed: int

    def order(self, epoch: int) -> Tensor:
        """All samples in the order of an epoch (from 0): int64 [N]."""
        generator = stream(self.seed, "order", epoch)
        return torch.randperm(len(self.data.train), generator=generator)

    def to_read(self, indices: Tensor) -> Tensor:
        """What this process reads of a joint batch: its share, or all where that is augmented.

        What is drawn for a batch, and whom its samples are mixed with, depends on all of them.
        """
        if self.processes.world > 1 and self.augmentation.changes:
            return indices
        return indices[self.processes.share(len(indices))]

    def augmented(self, batch: Batch, epoch: int, index: int, size: int) -> Batch:
        """This process's share of the `index`-th joint batch, which has `size` samples.

        `batch` is what `to_read` asked for. The network's dropout is ready for the share.
        """
        share = self.processes.share(size)
        self.seed_dropout(epoch, index)
        if self.processes.world > 1:
            for module in self.network.modules():
                if isinstance(module, Dropout):
                    module.joint = size, share
        device = self.processes.fabric.device
        x, y = (tensor.to(device, non_blocking=True) for tensor in batch)
        draws = stream(self.seed, "augment", epoch, index, 0)
        x = self.augmentation(x, draws, blank=self.data.train.blank)
        x, y = self.augmentation.mixed(x, y, len(self.data.classes), draws)
        if len(y) > len(share):
            share = share.to(x.device)
            x, y = x.index_select(-4 % x.ndim, share), y[share]
        return x, y

    def seed_dropout(self, epoch: int, index: int) -> None:
        """Let the next forward pass drop what it drops for this batch."""
        torch.manual_seed(stream_seed(self.seed, "dropout", epoch, index, 0))
