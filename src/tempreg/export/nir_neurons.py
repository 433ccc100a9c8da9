"""A layer of neurons as a node of NIR, and what its input is multiplied by for that.

NIR (Pedersen et al. 2024, https://neuroir.org) states neurons in continuous time:

    LIF       tau dv/dt = (v_leak - v) + R I          IF    dv/dt = R I
    CubaLIF   tau_syn di/dt = -i + w_in x,  tau_mem dv/dt = (v_leak - v) + R i

and a reader steps them with forward Euler. With v_leak = 0 and R = 1 its step of dt is
v + dt/tau (I - v), which is ours, v / tau' + x, where tau = dt tau' / (tau' - 1) and
I = x tau' / (tau' - 1). That gain goes into the weights, for readers differ in what they make
of R. At tau' = 1 the neuron is an IF of R = 1 / dt. Spikes are strict (v > v_threshold) in
both, and come before the hard reset. Of a CubaLIF both states have such a gain, and the current
takes the input of a timestep before the potential takes the current.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tempreg.export.errors import ExportError
from tempreg.neurons import PSN, CubaLIF, Layer, Neuron, StepNeuron, ThresholdLIF

if TYPE_CHECKING:
    import nir

DT = 1e-3
"""Seconds that one timestep stands for: what Norse takes unless told otherwise."""


def refuse_unsayable(model: nn.Module) -> None:
    """ExportError, which names them, for neurons that NIR has no word for."""
    for name, module in model.named_modules():
        if isinstance(module, (Neuron, StepNeuron, PSN)):
            _refuse(name or "the network", module)


def _refuse(name: str, neuron: Layer) -> None:
    if not isinstance(neuron, (Neuron, CubaLIF, ThresholdLIF)):
        raise ExportError(
            f"NIR has no word for the neurons of {name}, {type(neuron).__name__}: it can say LIF, "
            "IF, PLIF, CubaLIF and ThresholdLIF; export to onnx or torch"
        )
    if neuron.spec.v_reset is None:
        raise ExportError(
            f"NIR can't say the soft reset of {name}: its neurons are set to v_reset after a "
            "spike; export to onnx or torch, or train with --model.v-reset 0"
        )
    if isinstance(neuron, CubaLIF) and 1.0 in (neuron.tau, neuron.tau_syn):
        raise ExportError(
            f"NIR can't say {name}: both states of its CubaLIF decay, and tau "
            f"{neuron.tau:g} and tau_syn {neuron.tau_syn:g} don't both; export to onnx or torch"
        )


def gain(neuron: Layer) -> float:
    """What x is multiplied by to be the input of the neuron's node."""
    taus = (tau_of(neuron), neuron.tau_syn) if isinstance(neuron, CubaLIF) else (tau_of(neuron),)
    return float(np.prod([1.0 if tau == 1.0 else tau / (tau - 1) for tau in taus]))


def node_of(neuron: Layer, shape: tuple[int, ...]) -> nir.NIRNode:
    """The node; every parameter has one value a neuron. Refused ones are for `refuse_unsayable`."""
    words = importlib.import_module("nir")
    tau, spec = tau_of(neuron), neuron.spec
    assert spec.v_reset is not None
    threshold = spec.v_threshold
    if isinstance(neuron, ThresholdLIF):
        threshold = float(neuron.learned.detach())

    def full(value: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.full(shape, value, np.float32)

    ends = {"v_threshold": full(threshold), "v_reset": full(spec.v_reset)}
    said = {"steps_tau": tau, "step": "v / steps_tau + x, x after the gain", "dt": DT}
    if isinstance(neuron, CubaLIF):
        node = words.CubaLIF(
            tau_syn=full(_seconds(neuron.tau_syn)),
            tau_mem=full(_seconds(tau)),
            r=full(1),
            v_leak=full(0),
            w_in=full(1),
            **ends,
        )
        said |= {
            "steps_tau_syn": neuron.tau_syn,
            "step": "i / steps_tau_syn + x, then v / steps_tau + that i, after the gains",
        }
    elif tau == 1.0:
        node = words.IF(r=full(1) / np.float32(DT), **ends)
    else:
        node = words.LIF(tau=full(_seconds(tau)), r=full(1), v_leak=full(0), **ends)
    node.metadata = said
    made: nir.NIRNode = node
    return made


def tau_of(neuron: Layer) -> float:
    """The divisor of the membrane potential at a timestep."""
    given = neuron.current_tau() if isinstance(neuron, Neuron) else neuron.tau
    return float(torch.as_tensor(given, dtype=torch.float64).detach())


def _seconds(tau: float) -> float:
    return DT * tau / (tau - 1)
