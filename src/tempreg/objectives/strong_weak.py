"""Distillation between the surest timestep and the least sure (Ding et al., arXiv 2510.07924)."""

from __future__ import annotations

from typing import final

from torch import Tensor

from tempreg.objectives.base import Objective
from tempreg.objectives.distilled import divergence_per_step
from tempreg.options import ObjectiveOptions
from tempreg.options.field import check_option


@final
class StrongWeakLoss(Objective):
    """CE(mean_t o[t], y) + lam 2^2 KL(softmax(teacher / 2) || softmax(student / 2)).

    The timestep where the largest softmax(o[t]) is highest, in the mean over the batch (and
    places), is strong; the one where it is lowest is weak; of equals the first counts. In
    Strong2Weak the strong one, detached, teaches the weak one, in Weak2Strong the reverse. The mean
    is over the batch as it is here: with several processes each looks at its own share.

    From the paper's text and Algorithm 1, one teacher and one student, which is its default. The
    factor 2^2 is Hinton's; that the teacher is detached is not said there. The terms are
    `cross_entropy` and `distillation`, with its factor. Shapes and targets:
    `tempreg.objectives.base`.

    Args:
        lam: strength of the distillation, >= 0.
        weak_teaches: Weak2Strong in place of Strong2Weak.
        time_dim: see `Objective`.
    """

    def __init__(self, *, lam: float = 1.0, weak_teaches: bool = False, time_dim: int = 0) -> None:
        super().__init__(time_dim=time_dim)
        check_option(ObjectiveOptions, "s2w_lam", lam, "lam")
        self.lam, self.weak_teaches = lam, weak_teaches

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of the mean, and distillation, weighted."""
        highest = outputs.detach().softmax(dim=2).amax(dim=2)
        confidence = highest.flatten(1).mean(dim=1)
        # By index_select, for a plain index would wait for the device.
        strong = outputs.index_select(0, confidence.argmax().reshape(1))
        weak = outputs.index_select(0, confidence.argmin().reshape(1))
        teacher, student = (weak, strong) if self.weak_teaches else (strong, weak)
        mean = outputs.mean(dim=0, keepdim=True)
        return {
            "cross_entropy": self.cross_entropy(mean, targets),
            "distillation": self.lam * divergence_per_step(student, teacher[0]),
        }
