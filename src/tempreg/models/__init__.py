"""Spiking networks."""

from tempreg.models.base import SpikingNetwork
from tempreg.models.registry import MODELS, create_model, option_names
from tempreg.models.weights import WeightsError, WeightsReport, load_weights

__all__ = [
    "MODELS",
    "SpikingNetwork",
    "WeightsError",
    "WeightsReport",
    "create_model",
    "load_weights",
    "option_names",
]
