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
from tempreg.training.scored import Estimation, Scored


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
        validation_items, test_items: sample by sample; None where targets are numbers.
    """

    train: Scored
    validation: Scored | None
    test: Scored
    at_best: Scored
    test_of_last: Scored | None
    validation_items: Items | None
    test_items: Items | None

    def summary(self, position: Position) -> dict[str, Any]:
        """Scores and losses, and what is known of the epoch that was best on validation."""
        train, validation, test = self.train, self.validation, self.test
        there, name = validation is not None, test.NAME
        summary: dict[str, Any] = {
            f"test_{name}": test.score,
            f"val_{name}": validation.score if validation else None,
            f"train_{name}": train.score,
            "generalization_gap": train.score - test.score,
            f"{name}_per_step": test.score_per_step,
            f"mean_{name}_over_steps": test.mean_score,
            f"val_mean_{name}_over_steps": validation.mean_score if validation else None,
            f"train_mean_{name}_over_steps": train.mean_score,
            "test_loss": test.loss,
            "train_loss": train.loss,
            "best_val_epoch": position.best_epoch if there else None,
            f"best_val_{name}": position.best_accuracy if there else None,
            f"test_{name}_at_best_val": self.at_best.score if there else None,
            f"test_mean_{name}_over_steps_at_best_val": (
                self.at_best.mean_score if there else None
            ),
            **(self.honest_loss() if self.test_items else {}),
            **self.squared_errors(),
        }
        if self.test_of_last is not None:
            summary |= {
                "chosen_on_test": True,
                "caution": CHOSEN_ON_TEST,
                "test_accuracy_at_last_epoch": self.test_of_last.score,
            }
        return summary

    def squared_errors(self) -> dict[str, Any]:
        """Of numbers alone: mean squared errors of every split, and on test by timestep."""
        if not isinstance(self.test, Estimation):
            return {}
        splits = {"test": self.test, "val": self.validation, "train": self.train}
        return {
            **{f"{k}_mse": v.mse if isinstance(v, Estimation) else None for k, v in splits.items()},
            "mse_per_step": self.test.mse_per_step,
            "mse_of_each_step": self.test.mse_of_each_step,
        }

    def honest_loss(self) -> dict[str, float | None]:
        """The test cross-entropy once the scale of the logits is taken out of it.

        The temperature is fitted on validation, where there is any.
        """
        fitted, tested = self.validation_items, self.test_items
        if fitted is None or tested is None:
            return {"test_nll": None, "temperature": None}
        temperature = fit_temperature(fitted.logits.double(), fitted.targets)
        loss = F.cross_entropy(tested.logits.double() / temperature, tested.targets)
        return {"test_nll": float(loss), "temperature": temperature}


def note_best(position: Position, validation: Scored | None, test: Scored | None) -> bool:
    """Whether the epoch that ends is the best so far, which `position` then notes."""
    by = validation if test is None else test
    if by is None:
        return False
    better = by.score > position.best_accuracy or position.best_epoch < 0
    if test is not None:
        equal = test.score == position.best_accuracy
        better = better or (equal and test.loss < position.best_loss)
    if better:
        position.best_epoch, position.best_accuracy = position.epoch + 1, by.score
        position.best_loss = math.inf if test is None else test.loss
    return better


def weight_norm(network: nn.Module) -> float:
    """||w|| over all parameters of two and more dimensions: what a penalty of weights shrinks."""
    squares = [p.detach().double().square().sum() for p in network.parameters() if p.ndim >= 2]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
