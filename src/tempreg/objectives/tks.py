"""Temporal knowledge sharing (Dong et al. 2023, arXiv 2304.06540)."""

from __future__ import annotations

from typing import final

from torch import Tensor

from tempreg.objectives.base import Objective, cross_entropy_per_step
from tempreg.objectives.over_time import right_steps
from tempreg.options import ObjectiveOptions
from tempreg.options.field import check_option


@final
class TKSLoss(Objective):
    """(1 - s) CE(mean_t o[t], y) + s tau^2 mean_t CE(o[t], softmax(q / tau)).

    q is the sum of o[t] over the timesteps that are right, for each sample (and place) apart; where
    none is, it is 0 and teaches the uniform distribution. The share s grows with the epochs: in
    epoch e of E, counted from 0, it is alpha e / E. Until `begin_epoch` is called it is alpha.

    From the authors' code: https://github.com/Brain-Cog-Lab/TKS (RCNN.py, train_main.py). There q
    passes a gradient on to the right timesteps; here it does only with detached=False. The terms
    are `cross_entropy` and `distillation`, each with its factor. Shapes and targets:
    `tempreg.objectives.base`; what is right: `tempreg.objectives.over_time.right_steps`.

    Args:
        alpha: what the share of the distillation grows towards, in [0, 1].
        temperature: tau, > 0.
        detached: whether q is a teacher alone, and passes no gradient.
        time_dim: see `Objective`.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.7,
        temperature: float = 3.0,
        detached: bool = True,
        time_dim: int = 0,
    ) -> None:
        super().__init__(time_dim=time_dim)
        check_option(ObjectiveOptions, "tks_alpha", alpha, "TKS's alpha")
        check_option(ObjectiveOptions, "tks_temperature", temperature, "TKS's temperature")
        self.alpha, self.temperature, self.detached = alpha, temperature, detached
        self.share = alpha

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Sets the share."""
        self.share = self.alpha * epoch / epochs

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of the mean, and distillation, weighted."""
        mean = outputs.mean(dim=0, keepdim=True)
        said = outputs.detach() if self.detached else outputs
        right = (said * right_steps(outputs, targets)).sum(dim=0)
        teacher = (right / self.temperature).softmax(dim=1)
        distance = cross_entropy_per_step(outputs, teacher)
        return {
            "cross_entropy": (1 - self.share) * self.cross_entropy(mean, targets),
            "distillation": self.share * self.temperature**2 * distance,
        }
