"""Temporal regularization training (arXiv 2506.19256)."""

from __future__ import annotations

from typing import final

from torch import nn

from tempreg.objectives.regularised import Regularised
from tempreg.objectives.select import Select
from tempreg.objectives.step import StepLoss
from tempreg.options import ObjectiveOptions


@final
class TRTLoss(Regularised):
    """mean_t [(1 - eta) CE(o[t], y) + eta MSE(o[t], onehot(y))] + R(w).

    R is the time-decaying penalty of `tempreg.functional.trt_penalty`, with T the number of
    steps in the outputs. The terms are `cross_entropy`, `mse` and `penalty`, each with its
    factor. What holds for `Regularised` holds here.

    Args:
        model, lam, decay, eps, eta, select: see `Regularised`.
        time_dim: see `Objective`.

    Raises:
        ValueError: a number out of range, an unknown policy, or one that selects nothing.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        lam: float = ObjectiveOptions.lam,
        decay: float = ObjectiveOptions.decay,
        eps: float = ObjectiveOptions.eps,
        eta: float = ObjectiveOptions.eta,
        select: Select = "paper",
        time_dim: int = 0,
    ) -> None:
        super().__init__(
            StepLoss(time_dim=time_dim),
            model,
            lam=lam,
            decay=decay,
            eps=eps,
            eta=eta,
            select=select,
        )
