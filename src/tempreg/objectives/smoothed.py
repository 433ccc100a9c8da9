"""Label smoothing of any objective."""

from __future__ import annotations

from typing import final

from torch import Tensor

from tempreg.objectives.base import Objective, one_hot
from tempreg.options import ObjectiveOptions
from tempreg.options.field import check_option


@final
class Smoothed(Objective):
    """The base, with targets (1 - smoothing) onehot(y) + smoothing / C.

    Szegedy et al. 2016 (arXiv 1512.00567). The terms are those of the base. Shapes and targets:
    `tempreg.objectives.base`.

    Args:
        base: the objective; its `time_dim` is taken over.
        smoothing: share of each target that is spread evenly over the classes, in [0, 1).
    """

    def __init__(self, base: Objective, *, smoothing: float) -> None:
        super().__init__(time_dim=base.time_dim)
        check_option(ObjectiveOptions, "smoothing", smoothing)
        self.base, self.smoothing = base, smoothing

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The base's terms."""
        hard = one_hot(outputs, targets)
        return self.base.compute(
            outputs, hard.lerp(hard.new_full((), 1 / hard.shape[1]), self.smoothing)
        )
