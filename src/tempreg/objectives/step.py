"""Cross-entropy at every timestep: the supervision of TRT, without its other terms."""

from __future__ import annotations

from typing import final

from torch import Tensor

from tempreg.objectives.base import Objective
from tempreg.options import ObjectiveOptions
from tempreg.options.field import check_option


@final
class StepLoss(Objective):
    """mean_t CE(o[t], y), with label smoothing where asked for.

    The term is `cross_entropy`. Shapes and targets: `tempreg.objectives.base`.

    Args:
        smoothing: this share of each target is spread evenly over the classes, in [0, 1)
            (Szegedy et al. 2016, arXiv 1512.00567).
        time_dim: see `Objective`.
    """

    def __init__(self, *, smoothing: float = 0.0, time_dim: int = 0) -> None:
        super().__init__(time_dim=time_dim)
        check_option(ObjectiveOptions, "smoothing", smoothing)
        self.smoothing = smoothing

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The one term."""
        return {"cross_entropy": self.cross_entropy(outputs, targets, self.smoothing)}
