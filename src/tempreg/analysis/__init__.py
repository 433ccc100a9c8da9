"""What happens inside a network: gradients, Fisher information, flatness, spikes, over time."""

from tempreg.analysis.fisher import Fisher, fisher_information
from tempreg.analysis.gradients import (
    TemporalGradients,
    temporal_gradients,
    weight_gradients_by_step,
)
from tempreg.analysis.result import Result, ResultError

__all__ = [
    "Fisher",
    "Result",
    "ResultError",
    "TemporalGradients",
    "fisher_information",
    "temporal_gradients",
    "weight_gradients_by_step",
]
