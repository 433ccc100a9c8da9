"""What a network scores on a split: of classes, or of numbers.

Numbers y [N, D] are answered by the mean of the outputs so far, as classes are:

    mse[t] = mean over samples and D of (mean_{s <= t} o[s] - y)^2
    r2[t] = 1 - mse[t] / (mean over D of the variance of y over the split)

so that 1 is perfect, and 0 what the mean of the targets gets that knows them all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from typing_extensions import override

from tempreg.objectives.over_time import running_means


@dataclass(frozen=True)
class Scored(ABC):
    """Subclass it for a kind of targets, and say the score: the higher, the better.

    Attributes:
        loss: the objective, averaged over samples.
        terms: its terms by name, likewise; see `evaluate.named_apart`.
        NAME: what the score is called, in words and in files.
    """

    NAME: ClassVar[str]
    loss: float
    terms: dict[str, float]

    @property
    @abstractmethod
    def score_per_step(self) -> list[float]:
        """[T]: what someone gets who stops listening after t."""

    @abstractmethod
    def measured(self) -> dict[str, Any]:
        """What metrics.jsonl has of it, beside loss and terms."""

    @abstractmethod
    def shown(self) -> str:
        """The score in words, of one width."""

    @property
    def score(self) -> float:
        """With all timesteps."""
        return self.score_per_step[-1]

    @property
    def mean_score(self) -> float:
        """Averaged over timesteps."""
        return sum(self.score_per_step) / len(self.score_per_step)


@final
@dataclass(frozen=True)
class Evaluation(Scored):
    """Of classes.

    Attributes:
        accuracy_per_step: [T]; at step t of the class with the highest sum_{s <= t} o[s].
    """

    NAME: ClassVar[str] = "accuracy"
    accuracy_per_step: list[float]

    @property
    @override
    def score_per_step(self) -> list[float]:
        return self.accuracy_per_step

    @property
    def accuracy(self) -> float:
        """With all timesteps."""
        return self.score

    @override
    def measured(self) -> dict[str, Any]:
        return {"accuracy": self.score, "accuracy_per_step": self.accuracy_per_step}

    @override
    def shown(self) -> str:
        return f"{self.score:6.2%}"


@final
@dataclass(frozen=True)
class Estimation(Scored):
    """Of numbers; see the module's text.

    Attributes:
        mse_per_step, r2_per_step: [T], of the mean of the outputs so far.
        mse_of_each_step: [T], of a timestep's output alone.
    """

    NAME: ClassVar[str] = "r2"
    mse_per_step: list[float]
    r2_per_step: list[float]
    mse_of_each_step: list[float]

    @property
    @override
    def score_per_step(self) -> list[float]:
        return self.r2_per_step

    @property
    def mse(self) -> float:
        """With all timesteps."""
        return self.mse_per_step[-1]

    @override
    def measured(self) -> dict[str, Any]:
        return {
            "r2": self.score,
            "r2_per_step": self.r2_per_step,
            "mean_squared_error": self.mse,
            "mse_per_step": self.mse_per_step,
            "mse_of_each_step": self.mse_of_each_step,
        }

    @override
    def shown(self) -> str:
        return f"{self.score:7.4f}"


def squared_sums(outputs: Tensor, targets: Tensor) -> Tensor:
    """What `estimation` needs of one batch, added up over its samples: float64 [2 T + 2 D].

    Outputs [T, B, D]; targets [B, D].
    """
    made, y = outputs.double(), targets.double()
    errors = [(each - y).square().sum(dim=(1, 2)) for each in (running_means(made), made)]
    return torch.cat([*errors, y.sum(dim=0), y.square().sum(dim=0)])


def estimation(loss: float, terms: dict[str, float], sums: Tensor, size: int) -> Estimation:
    """Of the sums [2 T + 2 D] over all samples; `size` is D, and `sums` the mean over samples."""
    steps = (len(sums) - 2 * size) // 2
    running, alone, mean, square = sums.split([steps, steps, size, size])
    variance = float((square - mean.square()).mean())
    errors = (running / size).tolist()
    r2 = [1 - error / variance if variance > 0 else float("nan") for error in errors]
    return Estimation(loss, terms, errors, r2, (alone / size).tolist())
