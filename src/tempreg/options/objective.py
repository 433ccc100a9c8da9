"""The settings of an objective; which term reads which stands in `tempreg.options.terms`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

from tempreg.options.field import check_settings, setting
from tempreg.options.own import check_arguments
from tempreg.options.terms import BASES, parse_objective


@final
@dataclass(frozen=True)
class ObjectiveOptions:
    """The loss. TRT and TET have strengths of their own, for they mean different things."""

    name: str = setting("trt", f"{', '.join(BASES)} or trt; with terms added, as step+mse+l2")
    lam: float = setting(1e-5, "TRT: strength of the penalty (l2 is matched to it)", ">= 0")
    decay: float = setting(0.5, "TRT: the penalty's delta", ">= 0")
    # The largest eps keeps e^(decay t) eps below 1e33, so that the terms are numbers in float32.
    eps: float = setting(1e-5, "TRT: the penalty's epsilon", "[0, 1e6]")
    eta: float = setting(0.05, "TRT: share of the MSE to the one-hot target", "[0, 1]")
    select: Literal["paper", "weights"] = setting(
        "paper", "TRT: penalise all but biases, or only parameters of 2 and more dimensions"
    )
    tet_lam: float = setting(0.05, "TET: share of the MSE", "[0, 1]")
    tet_means: float = setting(1.0, "TET: the value logits are pulled to", "finite")
    smoothing: float = setting(
        0.1, "smooth, ls: share of each target spread over classes", "[0, 1)"
    )
    distill: float = setting(0.5, "self, kd, kl: share of the distillation", "[0, 1)")
    l2: float = setting(1e-4, "l2n: strength of the penalty", ">= 0")
    logit_lam: float = setting(0.05, "logit: strength of the penalty", ">= 0")
    logit_decay: float = setting(
        0.5, "logit-early, logit-late: how fast its weight falls or grows, a timestep", ">= 0"
    )

    tks_alpha: float = setting(
        0.7, "TKS: what the share of its distillation grows towards over the epochs", "[0, 1]"
    )
    tks_temperature: float = setting(3.0, "TKS: its teacher's temperature", "> 0")
    tks_detached: bool = setting(True, "TKS: no gradient through its teacher; published: false")
    twsd_beta: float = setting(0.5, "twsd: strength of its distillation", ">= 0")
    twsd_teacher: Literal["right", "all"] = setting(
        "right", "twsd: the mean of the right timesteps teaches, or that of all"
    )
    s2w_lam: float = setting(1.0, "s2w, w2s: strength of their distillation", ">= 0")
    weigh_classes: bool = setting(
        False, "cross-entropy: weigh each class by how rare it is in training, N / (C n_c)"
    )
    class_weights: tuple[float, ...] | None = setting(
        None, "cross-entropy: a weight for each class, in their order", "one or more weights > 0"
    )
    own: dict[str, Any] | None = setting(
        None, "arguments of an objective of your own, as {gamma: 2}"
    )

    def __post_init__(self) -> None:
        parse_objective(self.name)
        check_settings(self, "objective.")
        check_arguments("objective.own", self.own)
        if self.weigh_classes and self.class_weights is not None:
            raise ValueError(
                "objective.weigh_classes finds the weights that objective.class_weights gives: "
                "leave one of them out"
            )
