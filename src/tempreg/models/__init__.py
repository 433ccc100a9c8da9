"""Spiking networks."""

from tempreg.models.base import SpikingNetwork
from tempreg.models.registry import MODELS, create_model

__all__ = ["MODELS", "SpikingNetwork", "create_model"]
