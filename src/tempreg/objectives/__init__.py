"""Training objectives over the logits of all timesteps."""

from tempreg.objectives.anytime import AnytimeLoss
from tempreg.objectives.base import Objective
from tempreg.objectives.matched import matched_l2
from tempreg.objectives.rate import RateLoss
from tempreg.objectives.regularised import Regularised
from tempreg.objectives.select import selected_parameters
from tempreg.objectives.step import StepLoss
from tempreg.objectives.tet import TETLoss
from tempreg.objectives.trt import TRTLoss

__all__ = [
    "AnytimeLoss",
    "Objective",
    "RateLoss",
    "Regularised",
    "StepLoss",
    "TETLoss",
    "TRTLoss",
    "matched_l2",
    "selected_parameters",
]
