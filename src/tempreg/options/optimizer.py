"""The settings of gradient steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from tempreg.options.field import check_settings, setting


@final
@dataclass(frozen=True)
class OptimizerOptions:
    """Gradient steps."""

    name: Literal["adam", "adamw", "sgd"] = setting("adamw", "adam, adamw or sgd")
    lr: float = setting(
        1e-3, "highest learning rate; it decays to 0 along a cosine", "> 0, at most 1e30"
    )
    weight_decay: float = setting(
        0.0, "the optimizer's own (L2 for adam and sgd)", ">= 0, at most 1e30"
    )
    momentum: float = setting(0.9, "sgd only", "[0, 1)")
    cosine: Literal["step", "epoch"] = setting(
        "step", "the learning rate falls with every step, or with every epoch"
    )
    warmup_epochs: float = setting(0.0, "epochs of linear warm-up, may be a fraction", ">= 0")
    clip_norm: float | None = setting(
        None, "clip the gradient's norm to this (null: don't)", "> 0 or null"
    )

    def __post_init__(self) -> None:
        check_settings(self, "optimizer.")
