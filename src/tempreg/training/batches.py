"""The batches of an epoch: in which order, which part is a process's own, and what is drawn.

All draws are by (seed, epoch, batch) and for the whole joint batch, so that it makes no difference
to a sample which process holds it, nor how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from tempreg.data.augment import Augmentation
from tempreg.data.augment.draws import sent
from tempreg.data.base import DataSet
from tempreg.models.layers import Dropout
from tempreg.training.arrivals import Arrivals
from tempreg.training.loading import Batch
from tempreg.training.processes import Processes
from tempreg.training.streams import stream, stream_seed


@final
@dataclass(frozen=True)
class TrainingBatches:
    """What one process sees of each joint batch.

    Attributes:
        processes: they share each batch.
        network: its `Dropout` layers are told what part of a batch they get.
        data: its training split.
        augmentation: of that split.
        seed: of order, augmentation and dropout.
        arrivals: bring batches to where the network is.
        balance: whether samples are drawn so that each class comes equally often.
    """

    processes: Processes
    network: nn.Module
    data: DataSet
    augmentation: Augmentation
    seed: int
    arrivals: Arrivals
    balance: bool = False

    def order(self, epoch: int) -> Tensor:
        """All samples in the order of an epoch (from 0): int64 [N].

        Balanced, each class that is there has N / classes of the places, to one. A class fills
        them with its samples in a random order, as often as it takes, so that no sample comes
        more than once oftener than another of its class.
        """
        generator = stream(self.seed, "order", epoch)
        order = torch.randperm(len(self.data.train), generator=generator)
        return balanced(order, self.data.train.targets, epoch) if self.balance else order

    def crop_seed(self, epoch: int) -> int | None:
        """What random crops of an epoch are drawn by, with the sample; None: there are none."""
        return stream_seed(self.seed, "crop", epoch) if self.augmentation.crop else None

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
        x, y = self.arrivals(batch, self.data.train.finished)
        draws, classes = stream(self.seed, "augment", epoch, index, 0), len(self.data.classes)
        x, y = self.augmentation.batch(x, y, classes, draws, self.data.train.blank)
        if len(y) > len(share):
            (share,) = sent([share], x.device)
            x, y = x.index_select(-4 % x.ndim, share), y[share]
        return x, y

    def seed_dropout(self, epoch: int, index: int) -> None:
        """Let the next forward pass drop what it drops for this batch."""
        seed = stream_seed(self.seed, "dropout", epoch, index, 0)
        if self.arrivals.device.type == "cpu":
            # torch.manual_seed formats the stack, several times, for devices that aren't there.
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)


def balanced(order: Tensor, targets: Tensor, epoch: int) -> Tensor:
    """As many samples [N] as `order` has, each class of `targets` equally often, to one.

    Which classes have one more, where N can't be divided, changes with the epoch.
    """
    classes = targets.unique()
    count, total = len(classes), len(order)
    columns = []
    for place, label in enumerate(classes):
        mine = order[targets[order] == label]
        size = total // count + int((place + epoch) % count < total % count)
        columns.append(mine.repeat(-(-size // len(mine)))[:size])
    drawn = torch.cat(columns)
    return drawn[order]  # a permutation of the places
