"""Objectives by their names; `tempreg.options.terms` has the vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, final

from torch import nn

from tempreg.objectives.anytime import AnytimeLoss
from tempreg.objectives.base import Objective
from tempreg.objectives.distilled import SelfDistilled
from tempreg.objectives.logit_penalty import LogitPenalty
from tempreg.objectives.matched import matched_l2
from tempreg.objectives.rate import RateLoss
from tempreg.objectives.regularised import Regularised
from tempreg.objectives.select import selected_parameters
from tempreg.objectives.smoothed import Smoothed
from tempreg.objectives.squared import SquaredLoss, Supervise
from tempreg.objectives.step import StepLoss
from tempreg.objectives.strong_weak import StrongWeakLoss
from tempreg.objectives.tet import TETLoss
from tempreg.objectives.tks import TKSLoss
from tempreg.objectives.twsd import TWSDLoss
from tempreg.options import ObjectiveName, ObjectiveOptions


@final
class Making(NamedTuple):
    """What an objective is made with.

    Attributes:
        options: its settings.
        model: whose weights are penalised; for "l2" as they were drawn, for it is matched to them.
        num_steps: T, which "l2" is matched at.
        numbers: whether targets are numbers, so that the loss is a squared error.
    """

    options: ObjectiveOptions
    model: nn.Module
    num_steps: int
    numbers: bool = False


def _trt(base: Objective, making: Making) -> Objective:
    o = making.options
    return Regularised(base, making.model, lam=o.lam, decay=o.decay, eps=o.eps, select=o.select)


def _l2(base: Objective, making: Making) -> Objective:
    o = making.options
    weights = selected_parameters(making.model, o.select).values()
    lam = matched_l2(weights, num_steps=making.num_steps, lam=o.lam, decay=o.decay, eps=o.eps)
    return Regularised(base, making.model, lam=lam, decay=0.0, eps=o.eps, select=o.select)


BASES: dict[str, Callable[[ObjectiveOptions], Objective]] = {
    "rate": lambda o: RateLoss(),
    "step": lambda o: StepLoss(),
    "smooth": lambda o: StepLoss(smoothing=o.smoothing),
    "tet": lambda o: TETLoss(lam=o.tet_lam, means=o.tet_means),
    "anytime": lambda o: AnytimeLoss(),
    "tks": lambda o: TKSLoss(
        alpha=o.tks_alpha, temperature=o.tks_temperature, detached=o.tks_detached
    ),
    "twsd": lambda o: TWSDLoss(beta=o.twsd_beta, teacher=o.twsd_teacher),
    "s2w": lambda o: StrongWeakLoss(lam=o.s2w_lam),
    "w2s": lambda o: StrongWeakLoss(lam=o.s2w_lam, weak_teaches=True),
}

ADDITIONS: dict[str, Callable[[Objective, Making], Objective]] = {
    "kd": lambda base, m: AnytimeLoss(distill=m.options.distill),
    "kl": lambda base, m: AnytimeLoss(distill=m.options.distill, both_softened=True),
    "ls": lambda base, m: Smoothed(base, smoothing=m.options.smoothing),
    "self": lambda base, m: SelfDistilled(base, distill=m.options.distill),
    "mse": lambda base, m: Regularised(base, m.model, eta=m.options.eta),
    "trt": _trt,
    "l2": _l2,
    "l2n": lambda base, m: Regularised(
        base, m.model, lam=m.options.l2, decay=0.0, select=m.options.select
    ),
    "logit": lambda base, m: LogitPenalty(base, lam=m.options.logit_lam),
    "logit-early": lambda base, m: LogitPenalty(
        base, lam=m.options.logit_lam, course="early", decay=m.options.logit_decay
    ),
    "logit-late": lambda base, m: LogitPenalty(
        base, lam=m.options.logit_lam, course="late", decay=m.options.logit_decay
    ),
}
"""In the order in which they are added, each to all that stands before it."""


OF_NUMBERS: dict[str, Supervise] = {"rate": "mean", "step": "step", "anytime": "anytime"}
"""The bases that a regression has, and what its squared error is of."""
_PENALTIES = ("trt", "l2", "l2n")


def named_objective(name: ObjectiveName, making: Making) -> Objective:
    """The objective of a name that is not of the user's own.

    Of numbers, the squared error takes the place of the cross-entropy, and is TRT's third part
    already.

    Raises:
        ValueError: a penalty that selects no parameter; of numbers, a term that is of classes.
    """
    if making.numbers:
        _check_of_numbers(name)
        objective: Objective = SquaredLoss(supervise=OF_NUMBERS[name.base])
        name = ObjectiveName(name.base, name.additions - {"mse"})
    else:
        objective = BASES[name.base](making.options)
    for term, add in ADDITIONS.items():
        if term in name.additions:
            objective = add(objective, making)
    return objective


def _check_of_numbers(name: ObjectiveName) -> None:
    """ValueError where an objective is of classes, and the targets are numbers."""
    said = "+".join((name.base, *(t for t in ADDITIONS if t in name.additions)))
    if name.base not in OF_NUMBERS or name.additions - {"mse", *_PENALTIES}:
        raise ValueError(
            f"objective {said} is of classes, and the targets are numbers: take "
            f"{', '.join(OF_NUMBERS)} or trt, alone or with {', '.join(_PENALTIES)}"
        )
    if "mse" in name.additions and not name.additions & {*_PENALTIES}:
        raise ValueError(
            f"objective {said}: of numbers the squared error is the whole loss already, so take "
            f"{name.base}"
        )
