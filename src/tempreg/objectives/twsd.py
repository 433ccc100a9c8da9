"""Temporal-wise self-distillation (Yu et al. 2025, arXiv 2501.15925), without a teacher network."""

from __future__ import annotations

from typing import Literal, final

from torch import Tensor

from tempreg.objectives.base import Objective
from tempreg.objectives.distilled import divergence_per_step
from tempreg.objectives.over_time import right_steps
from tempreg.options import ObjectiveOptions
from tempreg.options.field import check_option

TEMPERATURE = 3.0
"""As in the authors' code."""


@final
class TWSDLoss(Objective):
    """mean_t [CE(o[t], y) + beta tau^2 KL(softmax(m / tau) || softmax(o[t] / tau))], tau = 3.

    m, detached, is the mean of o[t] over the timesteps that are right, for each sample (and place)
    apart; where none is, it is 0 and teaches the uniform distribution. So the authors' code has it:
    https://github.com/Intelli-Chip-Lab/snn_temporal_decoupling_distillation. The paper's equation
    takes the mean over all timesteps, which is teacher="all". Its distillation from a network
    without spikes is left out. The terms are `cross_entropy` and `distillation`, with its factor.
    Shapes and targets: `tempreg.objectives.base`; what is right:
    `tempreg.objectives.over_time.right_steps`.

    Args:
        beta: strength of the distillation, >= 0.
        teacher: "right" or "all", the timesteps that teach.
        time_dim: see `Objective`.
    """

    def __init__(
        self, *, beta: float = 0.5, teacher: Literal["right", "all"] = "right", time_dim: int = 0
    ) -> None:
        super().__init__(time_dim=time_dim)
        check_option(ObjectiveOptions, "twsd_beta", beta, "beta")
        if teacher not in ("right", "all"):
            raise ValueError(f"teacher must be right or all, got {teacher!r}")
        self.beta, self.teacher = beta, teacher

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy at every timestep, and distillation, weighted."""
        teacher = outputs.detach()
        if self.teacher == "all":
            teacher = teacher.mean(dim=0)
        else:
            right = right_steps(outputs, targets)
            teacher = (teacher * right).sum(dim=0) / right.sum(dim=0).clamp(min=1)
        distance = divergence_per_step(outputs, teacher, TEMPERATURE)
        return {
            "cross_entropy": self.cross_entropy(outputs, targets),
            "distillation": self.beta * distance,
        }
