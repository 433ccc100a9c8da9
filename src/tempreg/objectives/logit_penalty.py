"""A penalty of the logits at each timestep: one that reads time through the data."""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor

from tempreg.objectives.base import Objective
from tempreg.options import ObjectiveOptions
from tempreg.options.field import check_option

Course = Literal["constant", "early", "late"]


@final
class LogitPenalty(Objective):
    """base + (lam / T) sum_t w_t mean_b sum_c (o[t] - mean_c o[t])^2.

    It bounds how far the logits of a timestep lie apart. The weights w_t are of mean 1: all 1
    ("constant"), falling as e^(-decay t) ("early"), or the same ones reversed ("late"), so that
    only a difference between these says anything about early timesteps. The terms are those of
    the base, and `logit_penalty`. Shapes and targets: `tempreg.objectives.base`.

    Args:
        base: the objective; its `time_dim` is taken over.
        lam: strength, >= 0.
        course: of the weights over time.
        decay: how fast they fall or grow, a timestep, >= 0.

    Raises:
        ValueError: a number out of range, or another course.
    """

    def __init__(
        self,
        base: Objective,
        *,
        lam: float,
        course: Course = "constant",
        decay: float = ObjectiveOptions.logit_decay,
    ) -> None:
        super().__init__(time_dim=base.time_dim)
        check_option(ObjectiveOptions, "logit_lam", lam, "lam")
        check_option(ObjectiveOptions, "logit_decay", decay, "decay")
        if course not in ("constant", "early", "late"):
            raise ValueError(f"course must be constant, early or late, got {course!r}")
        self.base, self.lam, self.course, self.decay = base, lam, course, decay

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The base's terms and the penalty."""
        spread = (outputs - outputs.mean(dim=2, keepdim=True)).square().sum(dim=2)
        by_step = spread.flatten(1).mean(dim=1)
        penalty = self.lam * (self.weights(len(outputs)).to(by_step) * by_step).mean()
        return self.base.compute(outputs, targets) | {"logit_penalty": penalty}

    def weights(self, num_steps: int) -> Tensor:
        """w_t, [T], float64, of mean 1."""
        decay = 0.0 if self.course == "constant" else self.decay
        falling = torch.softmax(-decay * torch.arange(num_steps, dtype=torch.float64), dim=0)
        return num_steps * (falling.flip(0) if self.course == "late" else falling)
