"""Training objectives over the logits of all timesteps."""

from tempreg.objectives.anytime import AnytimeLoss
from tempreg.objectives.base import Objective
from tempreg.objectives.distilled import SelfDistilled
from tempreg.objectives.logit_penalty import LogitPenalty
from tempreg.objectives.matched import matched_l2
from tempreg.objectives.named import Making, named_objective
from tempreg.objectives.rate import RateLoss
from tempreg.objectives.regularised import Regularised
from tempreg.objectives.select import selected_parameters
from tempreg.objectives.smoothed import Smoothed
from tempreg.objectives.squared import (
    RegressionScores,
    SquaredLoss,
    regression_scores,
    trt_regression,
)
from tempreg.objectives.step import StepLoss
from tempreg.objectives.strong_weak import StrongWeakLoss
from tempreg.objectives.tet import TETLoss
from tempreg.objectives.tks import TKSLoss
from tempreg.objectives.trt import TRTLoss
from tempreg.objectives.twsd import TWSDLoss

__all__ = [
    "AnytimeLoss",
    "LogitPenalty",
    "Making",
    "Objective",
    "RateLoss",
    "RegressionScores",
    "Regularised",
    "SelfDistilled",
    "Smoothed",
    "SquaredLoss",
    "StepLoss",
    "StrongWeakLoss",
    "TETLoss",
    "TKSLoss",
    "TRTLoss",
    "TWSDLoss",
    "matched_l2",
    "named_objective",
    "regression_scores",
    "selected_parameters",
    "trt_regression",
]
