"""Layers of spiking neurons: the LIF family, in closed form, and others, stepped under autograd."""

from tempreg.neurons.equations import ALIF, CubaLIF, RecurrentLIF, ThresholdLIF
from tempreg.neurons.lif import IF, LIF, PLIF, Neuron
from tempreg.neurons.steps import State, StepNeuron

__all__ = [
    "ALIF",
    "IF",
    "LIF",
    "PLIF",
    "CubaLIF",
    "Neuron",
    "RecurrentLIF",
    "State",
    "StepNeuron",
    "ThresholdLIF",
]
