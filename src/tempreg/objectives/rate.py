"""The standard direct-training loss: cross-entropy of the time-averaged logits."""

from __future__ import annotations

from torch import Tensor

from tempreg.objectives.base import Objective, cross_entropy_per_step


class RateLoss(Objective):
    """CE(mean_t o[t], y). Final.

    The term is `cross_entropy`. Shapes and targets: `tempreg.objectives.base`.
    """

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The one term."""
        mean = outputs.mean(dim=0, keepdim=True)
        return {"cross_entropy": cross_entropy_per_step(mean, targets)}
