"""Temporal efficient training (Deng et al. 2022, arXiv 2202.11946)."""

from __future__ import annotations

import math

from torch import Tensor

from tempreg.objectives.base import Objective, cross_entropy_per_step


class TETLoss(Objective):
    """(1 - lam) mean_t CE(o[t], y) + lam MSE(o, means). Final.

    The terms are `cross_entropy` and `mse`, each with its factor.

    Args:
        lam: share of the MSE, in [0, 1].
        means: the value all logits are pulled to (phi in the paper), finite.
        time_dim: see `Objective`.
    """

    def __init__(self, *, lam: float = 0.05, means: float = 1.0, time_dim: int = 0) -> None:
        super().__init__(time_dim=time_dim)
        if not 0 <= lam <= 1:
            raise ValueError(f"TET's lam must be in [0, 1], got {lam!r}")
        if not math.isfinite(means):
            raise ValueError(f"TET's means must be finite, got {means!r}")
        self.lam, self.means = lam, means

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy and regularisation, weighted."""
        return {
            "cross_entropy": (1 - self.lam) * cross_entropy_per_step(outputs, targets),
            "mse": self.lam * (outputs - self.means).square().mean(),
        }
