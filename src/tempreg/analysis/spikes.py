"""Spikes and what they cost: firing rates, dead and saturated neurons, operations, energy.

Energy is 0.9 pJ for an accumulation, which a binary input needs, and 4.6 pJ for a
multiply-accumulate, which any other needs (analog frames, averages over spikes, sums of
spikes), in 32-bit floating point at 45 nm (Horowitz 2014, ISSCC): arithmetic only, no memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tempreg.analysis.aligned import aligned, steps
from tempreg.analysis.capture import (
    IsNeuron,
    batch_dim,
    check_finite,
    chunks,
    evaluating,
    find_neurons,
    logits_of,
    over_time,
    recording,
)
from tempreg.analysis.membrane import histogram
from tempreg.analysis.operations import connections, inputs_by_step, is_binary, operations
from tempreg.analysis.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AC_PICOJOULES, MAC_PICOJOULES = 0.9, 4.6
IN_RASTER = 40
"""Neurons of a layer whose spikes are kept, of the first sample."""
_EDGES = np.linspace(-2.0, 3.0, 51)
Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Spikes(Result):
    """Activity by neuron layer, and operations and energy by weight layer, a sample.

    `operations` are accumulations or multiply-accumulates as `kinds` says ("AC" or "MAC"),
    where inputs aren't 0; `dense` would be those with no input at 0. `dead` neurons never fire
    on the sample, `saturated` ones at every timestep of every sample. `membrane` are shares of
    h / v_threshold between `membrane_edges`; the outer bins hold what lies beyond, too.
    """

    quantity: ClassVar[str] = "spikes"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {
        "rate": ("layer", "timestep"),
        "dead": ("layer",),
        "saturated": ("layer",),
        "operations": ("weight layer", "timestep"),
        "dense": ("weight layer", "timestep"),
        "energy": ("timestep",),
        "membrane": ("layer", "bin"),
        "membrane_edges": ("edge",),
        "raster": ("layer", "neuron", "timestep"),
    }
    units: ClassVar[dict[str, str]] = {
        "rate": "spikes a neuron and timestep",
        "dead": "share of neurons",
        "saturated": "share of neurons",
        "operations": "operations a sample",
        "dense": "operations a sample",
        "energy": "energy (nJ a sample)",
        "membrane": "share of neurons and timesteps",
        "membrane_edges": "h / v_threshold",
        "raster": "spikes of the first sample",
    }
    layers: list[str]
    weight_layers: list[str]
    kinds: list[str]
    rate: Array
    dead: Array
    saturated: Array
    operations: Array
    dense: Array
    energy: Array
    membrane: Array
    membrane_edges: Array
    raster: Array = field(default_factory=lambda: np.zeros((0, 0, 0)))

    def table(self) -> str:
        """Rates by layer and step, operations by weight layer, and the energy."""
        heads = ("firing rate", *steps(self.rate.shape[1]), "dead", "saturated")
        fires = [
            (name, *row, dead, full)
            for name, row, dead, full in zip(
                self.layers, self.rate, self.dead, self.saturated, strict=True
            )
        ]
        costs = [
            (name, kind, done.sum(), dense.sum())
            for name, kind, done, dense in zip(
                self.weight_layers, self.kinds, self.operations, self.dense, strict=True
            )
        ]
        lower = aligned(("operations a sample", "kind", "counted", "no input at 0"), costs, ",.0f")
        return f"{aligned(heads, fires)}\n{lower}\nenergy {self.energy.sum():,.1f} nJ a sample"

    def figure(self) -> Figure:
        """Rates, dead and saturated neurons, operations, energy by step, membrane potentials."""
        from tempreg.analysis.figures.spikes import spikes_figure

        return spikes_figure(self)


@torch.no_grad()
def spikes(
    model: nn.Module,
    inputs: Tensor,
    *,
    is_neuron: IsNeuron | None = None,
    chunk: int = 64,
) -> Spikes:
    """What fires and what it costs on these inputs, in eval mode; the model is unchanged.

    Args:
        model: inputs -> logits [T, B, classes]. Weight layers are its linear layers and
            convolutions; other uses of weights aren't counted.
        inputs: see `tempreg.analysis.capture`. A static input's first layer, if it is called
            once for all timesteps, is counted once, at the first.
        is_neuron: (name, module) -> bool, which modules are neurons; those known if None. The
            membrane potentials of others than tempreg's are NaN, for their equations aren't known.
        chunk: samples at once, >= 1, which bounds memory: a chunk's inputs and outputs of all
            layers are held.

    Raises:
        ValueError: no neurons, unknown layouts, a convolution that pads with other than zeros.
    """
    if not isinstance(inputs, Tensor) or not inputs.shape[batch_dim(inputs)]:
        raise ValueError("inputs must be a tensor of at least one sample, not a loader")
    check_finite(inputs)
    neurons, weights = find_neurons(model, is_neuron), connections(model)
    samples = inputs.shape[batch_dim(inputs)]
    activity: dict[str, _Activity] = {}
    synapses: dict[str, _Synapses] = {}
    times = 0
    with evaluating(model):
        for x, _ in chunks(inputs, torch.zeros(samples), chunk):
            with recording(model, {**neurons, **weights}) as calls:
                times, batch = logits_of(model, x).shape[:2]
            for name in [name for name in neurons if calls[name]]:
                made = calls[name]
                activity.setdefault(name, _Activity(neurons[name])).add(
                    over_time(name, [call.args[0] for call in made], times, batch),
                    over_time(name, [call.output for call in made], times, batch),
                )
            for name, layer in weights.items():
                if found := inputs_by_step(name, calls[name], times, batch):
                    synapses.setdefault(name, _Synapses(layer, times)).add(found)
    if not activity:
        raise ValueError("none of the layers of neurons ran in the forward pass")
    return _result(activity, synapses, samples, times, chunk)


def _result(
    activity: dict[str, _Activity],
    synapses: dict[str, _Synapses],
    samples: int,
    times: int,
    chunk: int,
) -> Spikes:
    kinds = ["AC" if s.binary else "MAC" for s in synapses.values()]
    done = np.stack([s.done for s in synapses.values()]) / samples if synapses else _empty(times)
    dense = np.stack([s.dense for s in synapses.values()]) / samples if synapses else _empty(times)
    costs = np.array([AC_PICOJOULES if kind == "AC" else MAC_PICOJOULES for kind in kinds])
    return Spikes(
        layers=list(activity),
        weight_layers=list(synapses),
        kinds=kinds,
        rate=np.stack([a.rate() for a in activity.values()]),
        dead=np.array([float((a.fired == 0).double().mean()) for a in activity.values()]),
        saturated=np.array([float((a.silent == 0).double().mean()) for a in activity.values()]),
        operations=done,
        dense=dense,
        energy=costs @ done / 1000,
        membrane=np.stack([a.potential / max(a.potential.sum(), 1) for a in activity.values()]),
        membrane_edges=_EDGES,
        raster=np.stack([a.raster for a in activity.values()]),
        settings={
            "samples": samples,
            "T": times,
            "chunk": chunk,
            "AC picojoules": AC_PICOJOULES,
            "MAC picojoules": MAC_PICOJOULES,
        },
    )


def _raster(fires: Tensor) -> Array:
    """[IN_RASTER, T] of one sample's [T, N]: neurons evenly over the layer, NaN beyond its last."""
    neurons = fires.shape[1]
    shown = torch.linspace(0, neurons - 1, min(IN_RASTER, neurons)).round().long()
    found = np.full((IN_RASTER, len(fires)), np.nan)
    found[: len(shown)] = fires[:, shown.to(fires.device)].T.double().cpu().numpy()
    return found


def _empty(steps: int) -> Array:
    return np.zeros((0, steps))


@final
class _Activity:
    """Sums over chunks of one neuron layer."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.samples = module, 0
        self.per_step: Array = np.zeros(0)
        self.raster: Array = np.zeros((0, 0))
        self.fired = self.silent = torch.zeros(())
        self.potential: Array = np.zeros(len(_EDGES) - 1)

    def add(self, currents: Tensor, spikes: Tensor) -> None:
        """[T, B, *N] of one chunk."""
        fires = spikes != 0
        if not self.samples:
            self.raster = _raster(fires[:, 0].flatten(1))
        per_neuron = fires.flatten(2).sum(dim=(0, 1))
        self.fired = self.fired + per_neuron
        self.silent = self.silent + (fires.shape[0] * fires.shape[1] - per_neuron)
        share = fires.flatten(2).double().mean(dim=2).sum(dim=1).cpu().numpy()
        self.per_step = self.per_step + share if self.samples else share
        self.samples += spikes.shape[1]
        self.potential = self.potential + histogram(self.module, currents, spikes, _EDGES)

    def rate(self) -> Array:
        """Spikes a neuron and sample at each timestep, [T]."""
        return self.per_step / self.samples


@final
class _Synapses:
    """Sums over chunks of one weight layer."""

    def __init__(self, layer: nn.Module, steps: int) -> None:
        self.layer, self.binary = layer, True
        self.done, self.dense = np.zeros(steps), np.zeros(steps)

    def add(self, inputs: list[Tensor]) -> None:
        """[N, ...] of each timestep of one chunk, or of the first alone."""
        for t, x in enumerate(inputs):
            self.done[t] += float(operations(self.layer, x).sum())
            self.dense[t] += len(x) * float(operations(self.layer, torch.ones_like(x[:1])).sum())
            self.binary = self.binary and is_binary(x)
