"""Distillation from what the network says at the end."""

from __future__ import annotations

from typing import final

from torch import Tensor
from torch.nn import functional as F

from tempreg.objectives.base import Objective, cross_entropy_per_step
from tempreg.options import ObjectiveOptions
from tempreg.options.field import check_option

TEMPERATURE = 2.0
"""Logits of a teacher are divided by this before the softmax."""


@final
class SelfDistilled(Objective):
    """(1 - distill) base + distill CE(c_T, softmax(c_T / 2)), with the target detached.

    c_T is the mean of the logits over time. What `AnytimeLoss` teaches every timestep, this teaches
    the last one alone: nothing passes from one timestep to another, so that the two apart tell a
    transfer over time from a softer target. The terms are those of the base, and `distillation`,
    each with its factor. Shapes and targets: `tempreg.objectives.base`.

    Args:
        base: the objective; its `time_dim` is taken over.
        distill: share of the distillation, in [0, 1).
    """

    def __init__(self, base: Objective, *, distill: float) -> None:
        super().__init__(time_dim=base.time_dim)
        check_option(ObjectiveOptions, "distill", distill)
        self.base, self.distill = base, distill

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The base's terms and the distillation, weighted."""
        base = self.base.compute(outputs, targets)
        terms = {name: (1 - self.distill) * term for name, term in base.items()}
        last = outputs.mean(dim=0, keepdim=True)
        terms["distillation"] = self.distill * cross_entropy_per_step(last, softened(last[0]))
        return terms


def softened(logits: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """softmax(logits / temperature), detached: what a teacher says. logits [B, C, *D]."""
    return (logits.detach() / temperature).softmax(dim=1)


def divergence_per_step(
    outputs: Tensor, teacher: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """tau^2 mean_t KL(softmax(teacher / tau) || softmax(o[t] / tau)), per sample (and place of D).

    Both sides softened, and the temperature squared as factor, so that the gradient keeps its
    size: Hinton et al. 2015 (arXiv 1503.02531). outputs [T, B, C, *D], teacher [B, C, *D] logits,
    which gets no gradient; tau is `temperature`, > 0.
    """
    student = (outputs / temperature).log_softmax(dim=2)
    target = softened(teacher, temperature).expand_as(student)
    total = F.kl_div(student, target, reduction="sum")
    return temperature**2 * total * outputs.shape[2] / outputs.numel()
