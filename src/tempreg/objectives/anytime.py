"""Cross-entropy of what a reader of the running mean sees at every timestep."""

from __future__ import annotations

from typing import final

from torch import Tensor

from tempreg.objectives.base import Objective, cross_entropy_per_step
from tempreg.objectives.distilled import divergence_per_step, softened
from tempreg.objectives.over_time import running_means
from tempreg.options import ObjectiveOptions
from tempreg.options.field import check_option


@final
class AnytimeLoss(Objective):
    """(1 - distill) mean_t CE(c_t, y) + distill mean_t CE(c_t, softmax(c_T / 2)).

    c_t = mean_{s <= t} o[s] is the prediction of someone who stops listening after t; the last
    one, detached, teaches the earlier ones. The terms are `cross_entropy` and `distillation`,
    each with its factor. Shapes and targets: `tempreg.objectives.base`.

    Args:
        distill: share of the distillation, in [0, 1).
        both_softened: distil by 4 mean_t KL(softmax(c_T / 2) || softmax(c_t / 2)) instead.
        time_dim: see `Objective`.
    """

    def __init__(
        self, *, distill: float = 0.0, both_softened: bool = False, time_dim: int = 0
    ) -> None:
        super().__init__(time_dim=time_dim)
        check_option(ObjectiveOptions, "distill", distill)
        self.distill, self.both_softened = distill, both_softened

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of the running means, and distillation, weighted."""
        means = running_means(outputs)
        terms = {"cross_entropy": (1 - self.distill) * self.cross_entropy(means, targets)}
        if self.distill > 0:
            if self.both_softened:
                distance = divergence_per_step(means, means[-1])
            else:
                distance = cross_entropy_per_step(means, softened(means[-1]))
            terms["distillation"] = self.distill * distance
        return terms
