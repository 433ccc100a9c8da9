"""Training objectives over the logits of all timesteps."""

from tempreg.objectives.base import Objective
from tempreg.objectives.rate import RateLoss
from tempreg.objectives.select import selected_parameters
from tempreg.objectives.tet import TETLoss
from tempreg.objectives.trt import TRTLoss

__all__ = ["Objective", "RateLoss", "TETLoss", "TRTLoss", "selected_parameters"]
