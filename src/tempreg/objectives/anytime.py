"""Cross-entropy of what a reader of the running mean sees at every timestep."""

from __future__ import annotations

import torch
from torch import Tensor

from tempreg.objectives.base import Objective, cross_entropy_per_step

TEMPERATURE = 2.0


class AnytimeLoss(Objective):
    """(1 - distill) mean_t CE(c_t, y) + distill mean_t CE(c_t, softmax(c_T / 2)). Final.

    c_t = mean_{s <= t} o[s] is the prediction of someone who stops listening after t; the last
    one, detached, teaches the earlier ones. The terms are `cross_entropy` and `distillation`,
    each with its factor. Shapes and targets: `tempreg.objectives.base`.

    Args:
        distill: share of the distillation, in [0, 1).
        time_dim: see `Objective`.
    """

    def __init__(self, *, distill: float = 0.0, time_dim: int = 0) -> None:
        super().__init__(time_dim=time_dim)
        if not 0 <= distill < 1:
            raise ValueError(f"distill must be in [0, 1), got {distill!r}")
        self.distill = distill

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of the running means, and distillation, weighted."""
        means = running_means(outputs)
        terms = {"cross_entropy": (1 - self.distill) * cross_entropy_per_step(means, targets)}
        if self.distill > 0:
            teacher = (means[-1].detach() / TEMPERATURE).softmax(dim=1)
            terms["distillation"] = self.distill * cross_entropy_per_step(means, teacher)
        return terms


def running_means(outputs: Tensor) -> Tensor:
    """c_t = mean_{s <= t} o[s], of outputs [T, B, C, *D]."""
    counts = torch.arange(1, len(outputs) + 1, device=outputs.device, dtype=outputs.dtype)
    return outputs.cumsum(dim=0) / counts.reshape(-1, *[1] * (outputs.ndim - 1))
