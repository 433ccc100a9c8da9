"""What happens inside a network: gradients, Fisher information, flatness, spikes, over time."""

from tempreg.analysis.result import Result, ResultError

__all__ = ["Result", "ResultError"]
