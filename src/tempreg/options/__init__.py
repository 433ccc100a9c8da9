"""What can be set, and what it may be: each setting once, for settings files, flags and objects.

A module here has the settings of one kind of thing as a dataclass, whose fields say their default,
what they mean and what they may be. Objects take them, `config` composes them into a run's
settings. Only the standard library is imported.
"""

from tempreg.options.augment import AugmentOptions
from tempreg.options.data import DataOptions, SourceOptions, SplitOptions
from tempreg.options.neuron import NetworkOptions, NeuronOptions
from tempreg.options.objective import ObjectiveOptions
from tempreg.options.optimizer import OptimizerOptions
from tempreg.options.own import OwnDataOptions, OwnNetworkOptions
from tempreg.options.terms import TERMS, ObjectiveName, Term, parse_objective

__all__ = [
    "TERMS",
    "AugmentOptions",
    "DataOptions",
    "NetworkOptions",
    "NeuronOptions",
    "ObjectiveName",
    "ObjectiveOptions",
    "OptimizerOptions",
    "OwnDataOptions",
    "OwnNetworkOptions",
    "SourceOptions",
    "SplitOptions",
    "Term",
    "parse_objective",
]
