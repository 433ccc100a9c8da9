"""Layers of spiking neurons: the LIF family, in closed form, and others, stepped or in parallel."""

from tempreg.neurons.equations import ALIF, CubaLIF, RecurrentLIF, ThresholdLIF
from tempreg.neurons.lif import IF, LIF, PLIF, Neuron
from tempreg.neurons.parallel import PSN, MaskedPSN, OtherTimesteps, SlidingPSN
from tempreg.neurons.steps import State, StepNeuron

Layer = Neuron | StepNeuron | PSN
"""A layer of neurons of ours, whichever."""

__all__ = [
    "ALIF",
    "IF",
    "LIF",
    "PLIF",
    "PSN",
    "CubaLIF",
    "Layer",
    "MaskedPSN",
    "Neuron",
    "OtherTimesteps",
    "RecurrentLIF",
    "SlidingPSN",
    "State",
    "StepNeuron",
    "ThresholdLIF",
]
