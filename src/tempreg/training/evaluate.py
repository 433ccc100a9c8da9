"""How good a network is: loss and score at every timestep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from tempreg.data.base import Split
from tempreg.models.padding import lengths_for
from tempreg.objectives.base import Objective, is_distribution
from tempreg.objectives.regularised import penalty_once
from tempreg.training.loading import Batch
from tempreg.training.scored import Estimation, Evaluation, estimation, squared_sums

OF_METRICS = ("epoch", "split", "loss", "accuracy", "accuracy_per_step", "lr", "seconds")
"""What a line of a run's metrics has beside the terms of the loss."""
OF_NUMBERS = ("r2", "r2_per_step", "mean_squared_error", "mse_per_step", "mse_of_each_step")
"""What it has in place of accuracies, where targets are numbers."""


def named_apart(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An objective's terms by names that no other metric has: one called "lr" is "term_lr"."""
    made: dict[str, Tensor] = {}
    for name, value in terms.items():
        own = name
        while own in (*OF_METRICS, *OF_NUMBERS) or (own != name and own in terms):
            own = f"term_{own}"
        made[own] = value
    return made


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

    Args:
        numbers: D, of targets that are numbers [B, D]; 0: targets are classes.
    """

    def __init__(self, numbers: int = 0) -> None:
        self.samples, self.numbers = 0, numbers
        self._names: list[str] = []
        self._sums: Tensor | None = None  # float64 [names]
        self._counted: Tensor | None = None  # int64 [T] that are right, or `squared_sums`

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
        if self.numbers:
            counted = squared_sums(outputs.detach()[:, :size], targets[:size])
        else:
            if is_distribution(outputs, targets):
                targets = targets.argmax(dim=1)  # right is the class with the larger share
            counted = correct_by_item(outputs.detach(), targets)[:, :size].sum(dim=1)
        before = self._counted
        self._counted = counted if before is None else before.to(place).add_(counted)

    def _arranged(self, terms: dict[str, Tensor], place: torch.device) -> Tensor:
        """The values [names] of a batch whose terms aren't those of the batches before."""
        self._names += [name for name in terms if name not in self._names]
        none = torch.zeros((), dtype=torch.float64, device=place)
        if self._sums is not None:
            more = len(self._names) - len(self._sums)
            self._sums = torch.cat([self._sums.to(place), none.expand(more)])
        return torch.stack([terms.get(name, none) for name in self._names])

    def _fetched(self) -> tuple[dict[str, float], list[float]]:
        """The terms, and what was counted: one copy from the device."""
        if self._sums is None or self._counted is None:
            return {}, []
        values = torch.cat([self._sums, self._counted.double()]).tolist()
        count = len(self._names)
        return dict(zip(self._names, values[:count], strict=True)), values[count:]

    def state(self) -> dict[str, object]:
        """For a checkpoint: plain numbers."""
        terms, counted = self._fetched()
        return self._state(self.samples, terms, counted)

    def _state(
        self, samples: int, terms: dict[str, float], counted: list[float]
    ) -> dict[str, object]:
        if self.numbers:
            return {
                "samples": samples,
                "terms": terms,
                "squares": counted,
                "numbers": self.numbers,
            }
        return {"samples": samples, "terms": terms, "correct": [round(v) for v in counted]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Totals:
        """As `state` gave it."""
        totals = cls(state.get("numbers", 0))
        if state.get("terms"):
            totals.samples, totals._names = state["samples"], list(state["terms"])
            totals._sums = torch.tensor(list(state["terms"].values()), dtype=torch.float64)
            if totals.numbers:
                totals._counted = torch.tensor(state["squares"], dtype=torch.float64)
            else:
                totals._counted = torch.tensor(state["correct"], dtype=torch.int64)
        return totals

    def emptied(self) -> Totals:
        """The same terms with nothing in them: another process has what was here."""
        terms, counted = self._fetched()
        return self.from_state(self._state(0, dict.fromkeys(terms, 0.0), [0.0] * len(counted)))

    def reduced(self, all_reduce: Callable[[Tensor], Tensor]) -> Totals:
        """The sums over all processes."""
        terms, counted = self._fetched()
        packed = torch.tensor([self.samples, *terms.values(), *counted], dtype=torch.float64)
        samples, *values = all_reduce(packed).tolist()
        summed = dict(zip(terms, values[: len(terms)], strict=True))
        return self.from_state(self._state(round(samples), summed, values[len(terms) :]))

    def evaluation(self) -> Evaluation | Estimation:
        """The averages."""
        sums, counted = self._fetched()
        terms = {name: value / self.samples for name, value in sums.items()}
        loss = terms.pop("loss")
        means = [value / self.samples for value in counted]
        if self.numbers:
            return estimation(loss, terms, torch.tensor(means, dtype=torch.float64), self.numbers)
        return Evaluation(loss, terms, means)


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
    totals = Totals(split.numbers)
    parts = torch.arange(rank, len(split), world).split(batch_size)
    with penalty_once(objective):
        for batch in map(split.batch, parts) if read is None else read(parts):
            x, y = (tensor.to(device, non_blocking=True) for tensor in batch)
            outputs = model(x)
            totals.add(outputs, y, objective(outputs, y, lengths_for(model, x)), objective)
            if kept is not None:
                kept.add(outputs, y)
    model.train(was_training)
    return totals
