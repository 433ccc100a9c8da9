"""tempreg: trains spiking neural networks with temporal regularization, and measures it.

The names below load on first use, so that `import tempreg` alone costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from tempreg import analysis, audit, data, functional
    from tempreg.models import SpikingNetwork, create_model
    from tempreg.neurons import (
        ALIF,
        IF,
        LIF,
        PLIF,
        PSN,
        CubaLIF,
        MaskedPSN,
        Neuron,
        RecurrentLIF,
        SlidingPSN,
        StepNeuron,
        ThresholdLIF,
    )
    from tempreg.objectives import (
        AnytimeLoss,
        Objective,
        RateLoss,
        Regularised,
        StepLoss,
        TETLoss,
        TRTLoss,
    )
    from tempreg.runs import load
    from tempreg.runs.own.python import train
    from tempreg.runs.stream import Stream

_HOMES = {
    "SpikingNetwork": "tempreg.models",
    "create_model": "tempreg.models",
    "ALIF": "tempreg.neurons",
    "CubaLIF": "tempreg.neurons",
    "MaskedPSN": "tempreg.neurons",
    "PSN": "tempreg.neurons",
    "SlidingPSN": "tempreg.neurons",
    "Neuron": "tempreg.neurons",
    "RecurrentLIF": "tempreg.neurons",
    "StepNeuron": "tempreg.neurons",
    "ThresholdLIF": "tempreg.neurons",
    "IF": "tempreg.neurons",
    "LIF": "tempreg.neurons",
    "PLIF": "tempreg.neurons",
    "AnytimeLoss": "tempreg.objectives",
    "Objective": "tempreg.objectives",
    "RateLoss": "tempreg.objectives",
    "Regularised": "tempreg.objectives",
    "StepLoss": "tempreg.objectives",
    "TETLoss": "tempreg.objectives",
    "TRTLoss": "tempreg.objectives",
    "Stream": "tempreg.runs.stream",
    "load": "tempreg.runs",
    "train": "tempreg.runs.own.python",
}

_MODULES = (
    "analysis",
    "audit",
    "config",
    "data",
    "errors",
    "export",
    "functional",
    "interop",
    "models",
    "neurons",
    "objectives",
    "prediction",
    "runs",
    "testing",
    "training",
)
"""Those that docs/reference names something of, and interop."""

__all__ = [
    "ALIF",
    "IF",
    "LIF",
    "PLIF",
    "PSN",
    "AnytimeLoss",
    "CubaLIF",
    "MaskedPSN",
    "Neuron",
    "Objective",
    "RateLoss",
    "RecurrentLIF",
    "Regularised",
    "SlidingPSN",
    "SpikingNetwork",
    "StepLoss",
    "StepNeuron",
    "Stream",
    "TETLoss",
    "TRTLoss",
    "ThresholdLIF",
    "__version__",
    "analysis",
    "audit",
    "create_model",
    "data",
    "functional",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("tempreg")
    if name in _MODULES:
        return importlib.import_module(f"tempreg.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'tempreg' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
