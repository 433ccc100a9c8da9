"""How good a network is: loss and accuracy at every timestep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from tempreg.data.base import Split
from tempreg.models.padding import lengths_for
from tempreg.objectives.base import Objective, is_distribution
from tempreg.training.loading import Batch

OF_METRICS = ("epoch", "split", "loss", "accuracy", "accuracy_per_step", "lr", "seconds")
"""What a line of a run's metrics has beside the terms of the loss."""


def named_apart(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An objective's terms by names that no other metric has: one called "lr" is "term_lr"."""
    made: dict[str, Tensor] = {}
    for name, value in terms.items():
        own = name
        while own in OF_METRICS or (own != name and own in terms):
            own = f"term_{own}"
        made[own] = value
    return made


@final
@dataclass(frozen=True)
class Evaluation:
    """What a network scores on a split.

    Attributes:
        loss: the objective, averaged over samples.
        terms: its terms by name, likewise; see `named_apart`.
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

    @property
    def mean_accuracy(self) -> float:
        """Averaged over timesteps."""
        return sum(self.accuracy_per_step) / len(self.accuracy_per_step)


@final
@dataclass
class Kept:
    """What is kept of every sample of a split, a tensor a batch, where the network is.

    Attributes:
        correct: [T, B] bool, which are right at each step.
        logits: [B, C] float32, the mean over time.
        targets: [B] int64.
    """

    correct: list[Tensor] = field(default_factory=list)
    logits: list[Tensor] = field(default_factory=list)
    targets: list[Tensor] = field(default_factory=list)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """One batch: outputs [T, B, C], targets [B]."""
        self.correct.append(correct_by_item(outputs, targets))
        self.logits.append(outputs.float().mean(dim=0))
        self.targets.append(targets)


def correct_by_item(outputs: Tensor, targets: Tensor) -> Tensor:
    """Which of the batch are right at each step: outputs [T, B, C], targets [B] -> [T, B]."""
    return outputs.float().cumsum(dim=0).argmax(dim=-1) == targets


@final
class Totals:
    """Sums over batches that become averages.

    They lie where the outputs do and are fetched when they are asked for, so that nobody waits for
    a device at each batch; in float64, they are the same wherever they lie.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._names: list[str] = []
        self._sums: Tensor | None = None  # float64 [names]
        self._right: Tensor | None = None  # int64 [T]

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
        place = outputs.device
        terms = {"loss": loss, **named_apart(objective.terms)}
        values = torch.stack([value.detach().to(place) for value in terms.values()]).double()
        self._names = self._names or list(terms)
        if list(terms) != self._names:
            values = self._arranged(dict(zip(terms, values, strict=True)), place)
        # Two roundings, as of plain numbers: with alpha=size some machines would make one of them.
        values *= size
        self._sums = values if self._sums is None else self._sums.to(place).add_(values)
        if is_distribution(outputs, targets):
            targets = targets.argmax(dim=1)  # right is the class with the larger share
        right = correct_by_item(outputs.detach(), targets)[:, :size].sum(dim=1)
        self._right = right if self._right is None else self._right.to(place).add_(right)

    def _arranged(self, terms: dict[str, Tensor], place: torch.device) -> Tensor:
        """The values [names] of a batch whose terms aren't those of the batches before."""
        self._names += [name for name in terms if name not in self._names]
        none = torch.zeros((), dtype=torch.float64, device=place)
        if self._sums is not None:
            more = len(self._names) - len(self._sums)
            self._sums = torch.cat([self._sums.to(place), none.expand(more)])
        return torch.stack([terms.get(name, none) for name in self._names])

    def _fetched(self) -> tuple[dict[str, float], list[int]]:
        """The terms, and how many were right at each step: one copy from the device."""
        if self._sums is None or self._right is None:
            return {}, []
        values = torch.cat([self._sums, self._right.double()]).tolist()
        count = len(self._names)
        return dict(zip(self._names, values[:count], strict=True)), [
            round(v) for v in values[count:]
        ]

    def state(self) -> dict[str, object]:
        """For a checkpoint: plain numbers."""
        terms, correct = self._fetched()
        return {"samples": self.samples, "terms": terms, "correct": correct}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Totals:
        """As `state` gave it."""
        totals = cls()
        if state.get("terms"):
            totals.samples, totals._names = state["samples"], list(state["terms"])
            totals._sums = torch.tensor(list(state["terms"].values()), dtype=torch.float64)
            totals._right = torch.tensor(state["correct"], dtype=torch.int64)
        return totals

    def emptied(self) -> Totals:
        """The same terms with nothing in them: another process has what was here."""
        terms, correct = self._fetched()
        return self.from_state(
            {"samples": 0, "terms": dict.fromkeys(terms, 0.0), "correct": [0] * len(correct)}
        )

    def reduced(self, all_reduce: Callable[[Tensor], Tensor]) -> Totals:
        """The sums over all processes."""
        terms, correct = self._fetched()
        packed = torch.tensor([self.samples, *terms.values(), *correct], dtype=torch.float64)
        samples, *values = all_reduce(packed).tolist()
        return self.from_state(
            {
                "samples": round(samples),
                "terms": dict(zip(terms, values[: len(terms)], strict=True)),
                "correct": [round(value) for value in values[len(terms) :]],
            }
        )

    def evaluation(self) -> Evaluation:
        """The averages."""
        sums, correct = self._fetched()
        terms = {name: value / self.samples for name, value in sums.items()}
        loss = terms.pop("loss")
        return Evaluation(loss, terms, [count / self.samples for count in correct])


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
    kept: Kept | None = None,
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
        kept: told every batch.
        read: gives the finished batches of these indices on the device; None: `split` itself.
    """
    was_training = model.training
    model.eval()
    totals = Totals()
    parts = torch.arange(rank, len(split), world).split(batch_size)
    for batch in map(split.batch, parts) if read is None else read(parts):
        x, y = (tensor.to(device, non_blocking=True) for tensor in batch)
        outputs = model(x)
        totals.add(outputs, y, objective(outputs, y, lengths_for(model, x)), objective)
        if kept is not None:
            kept.add(outputs, y)
    model.train(was_training)
    return totals
