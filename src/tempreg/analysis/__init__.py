"""What happens inside a network: gradients, Fisher information, flatness, spikes, over time."""

from tempreg.analysis.anytime import Anytime, StepTransfer, anytime, step_transfer
from tempreg.analysis.curvature import SurrogateCurvature, surrogate_curvature
from tempreg.analysis.early_exits import EarlyExits, early_exits
from tempreg.analysis.fisher import Fisher, fisher_information
from tempreg.analysis.flatness import Flatness, flatness
from tempreg.analysis.gradients import (
    TemporalGradients,
    temporal_gradients,
    weight_gradients_by_step,
)
from tempreg.analysis.own_gradients import OwnGradients, own_gradients
from tempreg.analysis.probes import Probes, linear_probes
from tempreg.analysis.result import Result, ResultError
from tempreg.analysis.robustness import Robustness, early_robustness
from tempreg.analysis.scores import generalization_gap
from tempreg.analysis.spikes import Spikes, spikes

__all__ = [
    "Anytime",
    "EarlyExits",
    "Fisher",
    "Flatness",
    "OwnGradients",
    "Probes",
    "Result",
    "ResultError",
    "Robustness",
    "Spikes",
    "StepTransfer",
    "SurrogateCurvature",
    "TemporalGradients",
    "anytime",
    "early_exits",
    "early_robustness",
    "fisher_information",
    "flatness",
    "generalization_gap",
    "linear_probes",
    "own_gradients",
    "spikes",
    "step_transfer",
    "surrogate_curvature",
    "temporal_gradients",
    "weight_gradients_by_step",
]
