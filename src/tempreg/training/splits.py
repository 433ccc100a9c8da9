"""A network on the splits of its data, shared by all processes of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from tempreg.data.base import DataSet
from tempreg.objectives.base import Objective
from tempreg.training.arrivals import Arrivals
from tempreg.training.evaluate import Kept, evaluate
from tempreg.training.finite import NonFiniteLoss
from tempreg.training.loading import Loader
from tempreg.training.processes import Processes
from tempreg.training.scored import Scored
from tempreg.training.summary import Items


@final
@dataclass(frozen=True)
class Splits:
    """Evaluates a network; every process does its part, and all know the whole.

    Attributes:
        processes: they share each split.
        model: the network in the precision of evaluation.
        objective: whose loss is reported.
        data, loader, arrivals: the splits, what reads them, and what brings batches to the model.
        batch_size: >= 1, of each process.
    """

    processes: Processes
    model: nn.Module
    objective: Objective
    data: DataSet
    loader: Loader
    arrivals: Arrivals
    batch_size: int

    def evaluate(
        self, split: str, kept: Kept | None = None, objective: Objective | None = None
    ) -> Scored:
        """Loss and scores on a split; `kept` takes up what each sample got.

        Raises:
            NonFiniteLoss: the loss is not finite.
            RequestError: a sample can't be read.
        """
        whole = self.data.split(split)
        with self.processes.agreeing():
            totals = evaluate(
                self.model,
                objective or self.objective,
                whole,
                batch_size=self.batch_size,
                device=self.processes.fabric.device,
                rank=self.processes.rank,
                world=self.processes.world,
                read=lambda parts: self.arrivals.of(self.loader.batches(split, parts), whole),
                kept=kept,
            )
        result = totals.reduced(self.processes.sum).evaluation()
        if not math.isfinite(result.loss):
            self.processes.agree(
                NonFiniteLoss(
                    f"the loss on the {split} split is {result.loss}: the last steps diverged; a "
                    "lower optimizer.lr or an optimizer.clip_norm may help"
                )
            )
        return result

    def with_items(self, split: str) -> tuple[Scored, Items | None]:
        """The same with what every sample got, in the order of the split, which isn't empty; None
        where targets are numbers."""
        if self.data.numbers:
            return self.evaluate(split), None
        kept = Kept()
        result = self.evaluate(split, kept)
        mine = slice(self.processes.rank, None, self.processes.world)
        parts = torch.cat(kept.correct, dim=1).T, torch.cat(kept.logits), torch.cat(kept.targets)
        joined = []
        for part in parts:
            whole = torch.zeros(len(self.data.split(split)), *part.shape[1:], dtype=torch.float64)
            whole[mine] = part.double()
            joined.append(self.processes.sum(whole).cpu())
        return result, Items(joined[0].T.bool(), joined[1].float(), joined[2].long())
