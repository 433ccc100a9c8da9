"""Regression: numbers to be right about, at every timestep or after all.

Shapes: outputs [T, B, D]; targets [B, D], the same at every timestep, or [T, B, D].
"""

from __future__ import annotations

from typing import Literal, NamedTuple, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from tempreg.objectives.base import Objective
from tempreg.objectives.over_time import running_means
from tempreg.objectives.regularised import Regularised
from tempreg.objectives.select import Select
from tempreg.options import ObjectiveOptions

Supervise = Literal["step", "mean", "anytime"]


@final
class SquaredLoss(Objective):
    """The mean squared error, of one of three things.

        step      mean_t MSE(o[t], y[t])
        mean      MSE(mean_t o[t], y), of targets [B, D]
        anytime   mean_t MSE(mean_{s <= t} o[s], y), of targets [B, D]

    The term is `mse`. Sequences of unequal length go by `lengths`, as in every objective.

    Args:
        supervise: which.
        time_dim: see `Objective`; targets [T, B, D] have time where outputs have it.
    """

    def __init__(self, *, supervise: Supervise = "step", time_dim: int = 0) -> None:
        super().__init__(time_dim=time_dim)
        if supervise not in ("step", "mean", "anytime"):
            raise ValueError(f"supervise must be one of step, mean, anytime, got {supervise!r}")
        self.supervise = supervise

    @override
    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """ValueError where the targets aren't numbers that fit the outputs."""
        if targets.device != outputs.device:
            raise ValueError(
                f"targets are on {targets.device}, but outputs on {outputs.device}: move one of "
                "them with .to()"
            )
        whole, each = outputs.shape[1:], outputs.shape
        fits = targets.shape == whole or (targets.shape == each and self.supervise == "step")
        if not fits or not targets.is_floating_point():
            by_step = f" or {[*each]}" if self.supervise == "step" else ""
            raise ValueError(
                f"targets of a regression are floating-point numbers {[*whole]}{by_step} for "
                f"outputs {[*outputs.shape]}, got {[*targets.shape]} of {targets.dtype}"
            )

    @override
    def arranged(self, targets: Tensor, outputs: Tensor) -> Tensor:
        """Targets with time first, where they have any."""
        return targets.movedim(self.time_dim, 0) if targets.ndim == outputs.ndim else targets

    @override
    def part(self, targets: Tensor, length: int, chosen: Tensor) -> Tensor:
        return targets[:length, chosen] if targets.ndim == 3 else targets[chosen]

    @override
    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The one term."""
        if self.supervise == "mean":
            outputs = outputs.mean(dim=0)
        elif self.supervise == "anytime":
            outputs = running_means(outputs)
        return {"mse": (outputs - targets.to(outputs.dtype)).square().mean()}


def trt_regression(
    model: nn.Module,
    *,
    lam: float = ObjectiveOptions.lam,
    decay: float = ObjectiveOptions.decay,
    eps: float = ObjectiveOptions.eps,
    select: Select = "paper",
    time_dim: int = 0,
) -> Regularised:
    """TRT of a regression: mean_t MSE(o[t], y[t]) + R(w), with the penalty of `TRTLoss`.

    Its third part, the share of a squared error, is the whole loss here.
    """
    base = SquaredLoss(time_dim=time_dim)
    return Regularised(base, model, lam=lam, decay=decay, eps=eps, select=select)


@final
class RegressionScores(NamedTuple):
    """How far from the targets: [T] each.

    Attributes:
        step: root mean squared error of o[t].
        running: of the mean of the outputs up to t.
        r2: 1 - running^2 / the targets' variance, over samples: 1 is perfect, 0 the mean's.
    """

    step: Tensor
    running: Tensor
    r2: Tensor


@torch.no_grad()
def regression_scores(
    outputs: Tensor, targets: Tensor, lengths: Tensor | None = None
) -> RegressionScores:
    """Of outputs [T, B, D], targets [B, D] or [T, B, D]; a sequence that ended is left out of later
    timesteps' scores where `lengths` (int64 [B]) says so.

    Raises:
        ValueError: shapes that don't fit.
    """
    SquaredLoss().check(outputs, targets)
    steps = len(outputs)
    wanted = targets.double().expand(outputs.shape)
    means = running_means(outputs.double())
    there = torch.ones(outputs.shape[:2], dtype=torch.bool, device=outputs.device)
    if lengths is not None:
        there = torch.arange(steps, device=outputs.device)[:, None] < lengths
    rows = []
    for t in range(steps):
        own = there[t]
        y = wanted[t, own]
        step, running = ((x[t, own].double() - y).square().mean().sqrt() for x in (outputs, means))
        spread = (y - y.mean(dim=0)).square().mean()
        rows.append((step, running, 1 - running**2 / spread))
    return RegressionScores(*(torch.stack(column) for column in zip(*rows, strict=True)))
