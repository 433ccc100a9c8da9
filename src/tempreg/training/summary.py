"""What a finished run comes to: its evaluations as the numbers of summary.json."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.cautions import CHOSEN_ON_TEST
from tempreg.objectives.over_time import fit_temperature
from tempreg.training.checkpoint import Position
from tempreg.training.evaluate import Evaluation


@final
class Items(NamedTuple):
    """Every sample of a split: correct [T, N] bool, mean logits [N, C], targets [N]."""

    correct: Tensor
    logits: Tensor
    targets: Tensor


@final
@dataclass(frozen=True)
class Evaluations:
    """The kept weights on every split.

    Attributes:
        train, validation, test: of the kept weights; validation None where none is held out.
        at_best: on the test split, of the weights that were best on validation.
        test_of_last: on the test split, of the last epoch's, where the kept ones were chosen there.
        validation_items, test_items: sample by sample.
    """

    train: Evaluation
    validation: Evaluation | None
    test: Evaluation
    at_best: Evaluation
    test_of_last: Evaluation | None
    validation_items: Items | None
    test_items: Items

    def summary(self, position: Position) -> dict[str, Any]:
        """Accuracies and losses, and what is known of the epoch that was best on validation."""
        train, validation, test = self.train, self.validation, self.test
        there = validation is not None
        summary: dict[str, Any] = {
            "test_accuracy": test.accuracy,
            "val_accuracy": validation.accuracy if validation else None,
            "train_accuracy": train.accuracy,
            "generalization_gap": train.accuracy - test.accuracy,
            "accuracy_per_step": test.accuracy_per_step,
            "mean_accuracy_over_steps": test.mean_accuracy,
            "val_mean_accuracy_over_steps": validation.mean_accuracy if validation else None,
            "train_mean_accuracy_over_steps": train.mean_accuracy,
            "test_loss": test.loss,
            "train_loss": train.loss,
            "best_val_epoch": position.best_epoch if there else None,
            "best_val_accuracy": position.best_accuracy if there else None,
            "test_accuracy_at_best_val": self.at_best.accuracy if there else None,
            "test_mean_accuracy_over_steps_at_best_val": (
                self.at_best.mean_accuracy if there else None
            ),
            **self.honest_loss(),
        }
        if self.test_of_last is not None:
            summary |= {
                "chosen_on_test": True,
                "caution": CHOSEN_ON_TEST,
                "test_accuracy_at_last_epoch": self.test_of_last.accuracy,
            }
        return summary

    def honest_loss(self) -> dict[str, float | None]:
        """The test cross-entropy once the scale of the logits is taken out of it.

        The temperature is fitted on validation, where there is any.
        """
        fitted, tested = self.validation_items, self.test_items
        if fitted is None:
            return {"test_nll": None, "temperature": None}
        temperature = fit_temperature(fitted.logits.double(), fitted.targets)
        loss = F.cross_entropy(tested.logits.double() / temperature, tested.targets)
        return {"test_nll": float(loss), "temperature": temperature}


def note_best(position: Position, validation: Evaluation | None, test: Evaluation | None) -> bool:
    """Whether the epoch that ends is the best so far, which `position` then notes."""
    by = validation if test is None else test
    if by is None:
        return False
    better = by.accuracy > position.best_accuracy
    if test is not None:
        equal = test.accuracy == position.best_accuracy
        better = better or (equal and test.loss < position.best_loss)
    if better:
        position.best_epoch, position.best_accuracy = position.epoch + 1, by.accuracy
        position.best_loss = math.inf if test is None else test.loss
    return better


def weight_norm(network: nn.Module) -> float:
    """||w|| over all parameters of two and more dimensions: what a penalty of weights shrinks."""
    squares = [p.detach().double().square().sum() for p in network.parameters() if p.ndim >= 2]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
