"""Temporal efficient training (Deng et al. 2022, arXiv 2202.11946)."""

from __future__ import annotations

from typing import final

from torch import Tensor

from tempreg.objectives.base import Objective
from tempreg.options import ObjectiveOptions
from tempreg.options.field import check_option


@final
class TETLoss(Objective):
    """(1 - lam) mean_t CE(o[t], y) + lam MSE(o, means).

    The terms are `cross_entropy` and `mse`, each with its factor.

    Args:
        lam: share of the MSE, in [0, 1].
        means: the value all logits are pulled to (phi in the paper), finite.
        time_dim: see `Objective`.
    """

    def __init__(
        self,
        *,
        lam: float = ObjectiveOptions.tet_lam,
        means: float = ObjectiveOptions.tet_means,
        time_dim: int = 0,
    ) -> None:
        super().__init__(time_dim=time_dim)
        check_option(ObjectiveOptions, "tet_lam", lam, "TET's lam")
        check_option(ObjectiveOptions, "tet_means", means, "TET's means")
        self.lam, self.means = lam, means

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy and regularisation, weighted."""
        return {
            "cross_entropy": (1 - self.lam) * self.cross_entropy(outputs, targets),
            "mse": self.lam * (outputs - self.means).square().mean(),
        }
