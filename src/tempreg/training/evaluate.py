"""How good a network is: loss and accuracy at every timestep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tempreg.data.base import Split
from tempreg.objectives.base import Objective, is_distribution
from tempreg.training.loading import Batch


@dataclass(frozen=True)
class Evaluation:
    """What a network scores on a split. Final.

    Attributes:
        loss: the objective, averaged over samples.
        terms: its terms by name, likewise.
        accuracy_per_step: [T]; at step t of the class with the highest sum_{s <= t} o[s]: what
            someone gets who stops listening after t.
    """

    loss: float
    terms: dict[str, float]
    accuracy_per_step: list[float]

    @property
    def accuracy(self) -> float:
        """With all timesteps."""
        return self.accuracy_per_step[-1]


def correct_by_item(outputs: Tensor, targets: Tensor) -> Tensor:
    """Which of the batch are right at each step: outputs [T, B, C], targets [B] -> [T, B]."""
    return outputs.float().cumsum(dim=0).argmax(dim=-1) == targets


class Totals:
    """Sums over batches that become averages; plain numbers, so they can be saved. Final."""

    def __init__(self) -> None:
        self.samples = 0
        self.terms: dict[str, float] = {}
        self.correct: list[int] = []

    def add(
        self,
        outputs: Tensor,
        targets: Tensor,
        loss: Tensor,
        objective: Objective,
        *,
        counts: bool = True,
    ) -> None:
        """Count one batch; one that doesn't count makes its terms known, with nothing in them."""
        size = len(targets) if counts else 0
        self.samples += size
        for name, value in {"loss": loss, **objective.terms}.items():
            self.terms[name] = self.terms.get(name, 0.0) + float(value) * size
        if is_distribution(outputs, targets):
            targets = targets.argmax(dim=1)  # right is the class with the larger share
        right = correct_by_item(outputs.detach(), targets)[:, :size]
        correct = right.sum(dim=1).tolist()
        before = self.correct or [0] * len(correct)
        self.correct = [a + b for a, b in zip(before, correct, strict=True)]

    def state(self) -> dict[str, object]:
        """For a checkpoint."""
        return {"samples": self.samples, "terms": self.terms, "correct": self.correct}

    @classmethod
    def from_state(cls, state: dict[str, object]) -> Totals:
        """As `state` gave it."""
        totals = cls()
        totals.__dict__.update(state)
        return totals

    def emptied(self) -> Totals:
        """The same terms with nothing in them: another process has what was here."""
        return self.from_state(
            {
                "samples": 0,
                "terms": dict.fromkeys(self.terms, 0.0),
                "correct": [0] * len(self.correct),
            }
        )

    def reduced(self, all_reduce: Callable[[Tensor], Tensor]) -> Totals:
        """The sums over all processes."""
        names = list(self.terms)
        packed = torch.tensor(
            [self.samples, *self.terms.values(), *self.correct], dtype=torch.float64
        )
        samples, *values = all_reduce(packed).tolist()
        total = Totals()
        total.samples = round(samples)
        total.terms = dict(zip(names, values[: len(names)], strict=True))
        total.correct = [round(value) for value in values[len(names) :]]
        return total

    def evaluation(self) -> Evaluation:
        """The averages."""
        terms = {name: value / self.samples for name, value in self.terms.items()}
        loss = terms.pop("loss")
        return Evaluation(loss, terms, [count / self.samples for count in self.correct])


@torch.no_grad()
def evaluate(
    model: nn.Module,
    objective: Objective,
    split: Split,
    *,
    batch_size: int,
    device: torch.device | str = "cpu",
    rank: int = 0,
    world: int = 1,
    items: list[Tensor] | None = None,
    read: Callable[[Sequence[Tensor]], Iterable[Batch]] | None = None,
) -> Totals:
    """Sums over this process's share of a split, in eval mode; the mode is restored.

    Args:
        model: [T, B, C, H, W] or [B, C, H, W] -> logits [T, B, C].
        objective: for the loss and its terms.
        split: what to evaluate; in its own order, without augmentation.
        batch_size: samples at once.
        device: where the model is.
        rank, world: every world-th sample is this process's, from the rank-th on.
        items: appended to, which samples are right at each step: bool [T, B] a batch.
        read: gives the batches of these indices, as `Loader` does; None: `split` itself.
    """
    was_training = model.training
    model.eval()
    totals = Totals()
    parts = torch.arange(rank, len(split), world).split(batch_size)
    for batch in map(split.batch, parts) if read is None else read(parts):
        x, y = (tensor.to(device, non_blocking=True) for tensor in batch)
        outputs = model(x)
        totals.add(outputs, y, objective(outputs, y), objective)
        if items is not None:
            items.append(correct_by_item(outputs, y).cpu())
    model.train(was_training)
    return totals
