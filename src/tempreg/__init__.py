"""tempreg: trains spiking neural networks with temporal regularization, and measures it.

The names below load on first use, so that `import tempreg` alone costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from tempreg import analysis, functional
    from tempreg.models import SpikingNetwork, create_model
    from tempreg.neurons import IF, LIF, PLIF, Neuron
    from tempreg.objectives import Objective, RateLoss, TETLoss, TRTLoss

_HOMES = {
    "analysis": "tempreg.analysis",
    "functional": "tempreg.functional",
    "SpikingNetwork": "tempreg.models",
    "create_model": "tempreg.models",
    "Neuron": "tempreg.neurons",
    "IF": "tempreg.neurons",
    "LIF": "tempreg.neurons",
    "PLIF": "tempreg.neurons",
    "Objective": "tempreg.objectives",
    "RateLoss": "tempreg.objectives",
    "TETLoss": "tempreg.objectives",
    "TRTLoss": "tempreg.objectives",
}

__all__ = [
    "IF",
    "LIF",
    "PLIF",
    "Neuron",
    "Objective",
    "RateLoss",
    "SpikingNetwork",
    "TETLoss",
    "TRTLoss",
    "__version__",
    "analysis",
    "create_model",
    "functional",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("tempreg")
    if name not in _HOMES:
        raise AttributeError(f"module 'tempreg' has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    value = home if _HOMES[name] == f"tempreg.{name}" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
