"""Modules of strangers: neurons of other libraries, and what a module returns, in words.

Neurons are recognised by the names of their classes, so that no library is imported:
SpikingJelly 2.0, snnTorch 1.0, Norse 1.1, sinabs 3.1, and whatever derives from their base classes.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from tempreg.neurons import PSN, Neuron, StepNeuron

_SPIKINGJELLY = "spikingjelly.activation_based."
_NORSE = "norse.torch.module."
_STATEFUL = {
    f"{_SPIKINGJELLY}base.MemoryModule": "SpikingJelly",
    "snntorch._neurons.neurons.SpikingNeuron": "snnTorch",
    f"{_NORSE}snn.SNN": "Norse",
    f"{_NORSE}snn.SNNCell": "Norse",
    f"{_NORSE}snn.SNNRecurrent": "Norse",
    f"{_NORSE}snn.SNNRecurrentCell": "Norse",
    "sinabs.layers.stateful_layer.StatefulLayer": "sinabs",
}
"""The base classes of all their layers with a state over time, and whose they are."""
_SPIKING = {
    f"{_SPIKINGJELLY}neuron.base_node.BaseNode",
    f"{_SPIKINGJELLY}neuron.base_node.SimpleBaseNode",
    *(f"{_SPIKINGJELLY}neuron.psn.{name}" for name in ("PSN", "MaskedPSN", "SlidingPSN")),
    *(name for name, library in _STATEFUL.items() if library != "SpikingJelly"),
}
_ACAUSAL = f"{_SPIKINGJELLY}neuron.psn.PSN"
_SILENT = {
    f"{_NORSE}leaky_integrator.LI",
    f"{_NORSE}leaky_integrator.LICell",
    f"{_NORSE}leaky_integrator_box.LIBoxCell",
    "sinabs.layers.exp_leak.ExpLeak",
}
"""Leaky integrators, which derive from neurons but give no spikes."""
_PARTS = ("p", "surrogate_function", "spike_fn", "spike_grad")
"""Submodules in which a neuron keeps its constants."""


def library_of(module: nn.Module) -> str | None:
    """Whose layer with a state over time this is, neurons mostly; None for every other module."""
    return next((_STATEFUL[name] for name in _ancestors(module) if name in _STATEFUL), None)


def is_spiking(module: nn.Module) -> bool:
    """Whether it is a layer of spiking neurons, tempreg's or one of these libraries'."""
    if isinstance(module, (Neuron, StepNeuron, PSN)):
        return True
    ancestors = _ancestors(module)
    return bool(_SPIKING.intersection(ancestors)) and not _SILENT.intersection(ancestors)


def sees_later(model: nn.Module) -> str | None:
    """The first layer of a PSN, ours or SpikingJelly's, whose spikes depend on later timesteps."""
    for name, module in model.named_modules():
        if isinstance(module, PSN) or _ACAUSAL in _ancestors(module):
            return name or type(module).__name__
    return None


def constant_parameters(model: nn.Module) -> set[int]:
    """The ids of all learnable neuron constants: time constants, decays, thresholds, gains.

    Of a tempreg neuron all its parameters; of another library's those of its own, those of its
    submodule of parameters and those it was given in a tuple of parameters, as Norse does. A
    recurrent layer's weights are none: its submodules', and those with "weight" in their name.
    """
    found: set[int] = set()
    for module in model.modules():
        if isinstance(module, (Neuron, PSN)):
            found.update(id(p) for p in module.parameters())
        elif isinstance(module, StepNeuron):
            own = module.named_parameters(recurse=False)
            found.update(id(p) for name, p in own if "weight" not in name)
        elif library_of(module) is not None:
            own = module.named_parameters(recurse=False)
            found.update(id(p) for name, p in own if "weight" not in name)
            given = (value for value in vars(module).values() if isinstance(value, tuple))
            found.update(id(p) for t in given for p in t if isinstance(p, nn.Parameter))
            parts = (child for name, child in module.named_children() if name in _PARTS)
            found.update(id(p) for part in parts for p in part.parameters())
    return found


def _ancestors(module: nn.Module) -> list[str]:
    return [f"{cls.__module__}.{cls.__qualname__}" for cls in type(module).__mro__]


def described(value: Any) -> str:
    """What a module returned, in words and shapes."""
    if isinstance(value, Tensor):
        return f"a tensor {[*value.shape]}"
    if isinstance(value, dict):
        return f"a dict with {', '.join(f'{k!r}: {described(v)}' for k, v in value.items())}"
    if isinstance(value, (tuple, list)) and value:
        few = ", ".join(described(item) for item in value[:4])
        more = ", ..." if len(value) > 4 else ""
        return f"a {type(value).__name__} of {len(value)} ({few}{more})"
    return f"a {type(value).__name__}"
