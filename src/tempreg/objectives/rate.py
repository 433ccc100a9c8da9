"""The standard direct-training loss: cross-entropy of the time-averaged logits."""

from __future__ import annotations

from typing import final

from torch import Tensor

from tempreg.objectives.base import Objective


@final
class RateLoss(Objective):
    """CE(mean_t o[t], y).

    The term is `cross_entropy`. Shapes and targets: `tempreg.objectives.base`.
    """

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The one term."""
        mean = outputs.mean(dim=0, keepdim=True)
        return {"cross_entropy": self.cross_entropy(mean, targets)}
