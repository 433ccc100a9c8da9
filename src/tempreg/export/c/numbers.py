"""A graph's numbers as the runtime has them: rows of weights by block, in float32 or in int8.

In int8 each output channel has a scale s, its largest weight over 127, that all sources of a layer
share. Sums are whole numbers of s; potentials are of s / 2^shift, so that thresholds and biases
are rounded finely too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from tempreg.export.c.graph import Array, Graph, Layer, Source
from tempreg.export.c.memory import stride
from tempreg.export.errors import ExportError

BLOCKS = (64, 32, 16, 8)
"""Output channels that the runtime adds up at once."""
SHIFT = 8
FINEST = 2.0**20
"""A channel's threshold, bias and reset are at most so many times its scale."""


@final
@dataclass
class SourceNumbers:
    """A source with its places in the tables; -1: none."""

    source: Source
    rows: int
    columns: int
    weights: int = 0
    gain: int = 0


@final
@dataclass
class LayerNumbers:
    """A layer with its places in the tables."""

    layer: Layer
    sources: list[SourceNumbers]
    bias: int
    bias_by_pixel: bool
    threshold: int
    reset: int
    soft: bool
    leak: float
    shift: int


@final
@dataclass
class Numbers:
    """The tables: weights (float32 or int8), sums (float32 or int32); the layers' places in them.

    Attributes:
        head_scale, head_bias: of int8, what makes logits of the last layer's sums.
    """

    int8: bool
    weights: list[NDArray[np.generic]] = field(default_factory=list)
    sums: list[NDArray[np.generic]] = field(default_factory=list)
    layers: list[LayerNumbers] = field(default_factory=list)
    head_scale: Array = field(default_factory=lambda: np.empty(0))
    head_bias: Array = field(default_factory=lambda: np.empty(0))

    def keep_weights(self, values: NDArray[np.generic]) -> int:
        """Append; returns the place."""
        place = sum(map(len, self.weights))
        self.weights.append(values)
        return place

    def keep_sums(self, values: Array) -> int:
        """Append, rounded; returns the place."""
        place = sum(map(len, self.sums))
        kept = np.rint(values).astype(np.int32) if self.int8 else values.astype(np.float32)
        self.sums.append(kept.ravel())
        return place


def numbers_of(graph: Graph, *, int8: bool) -> Numbers:
    """The tables of a graph; ExportError where int8 can't hold what it can add up."""
    numbers = Numbers(int8)
    for layer in graph.layers:
        (_int8_layer if int8 else _float_layer)(graph, layer, numbers)
    return numbers


def _float_layer(graph: Graph, layer: Layer, numbers: Numbers) -> None:
    width = stride(graph.maps[layer.output])
    ones = np.ones(graph.maps[layer.output].channels)
    sources = []
    for source in layer.sources:
        if source.weight is None:
            gain = numbers.keep_sums(_filled(ones * source.gain, width))
            sources.append(SourceNumbers(source, 0, 0, gain=gain))
        else:
            weights = numbers.keep_weights(_blocks(source.weight, width).astype(np.float32))
            rows, columns = source.weight.shape[:2]
            sources.append(SourceNumbers(source, rows, columns, weights=weights))
    threshold, reset, soft, leak = _constants(layer)
    numbers.layers.append(
        LayerNumbers(
            layer,
            sources,
            bias=numbers.keep_sums(_filled(layer.bias, width)),
            bias_by_pixel=layer.bias.ndim == 3,
            threshold=numbers.keep_sums(_filled(ones * threshold, width, np.inf)),
            reset=numbers.keep_sums(_filled(ones * reset, width)),
            soft=soft,
            leak=leak,
            shift=0,
        )
    )


def _int8_layer(graph: Graph, layer: Layer, numbers: Numbers) -> None:
    width = stride(graph.maps[layer.output])
    threshold, reset, soft, leak = _constants(layer)
    biases = np.abs(layer.bias).reshape(-1, layer.bias.shape[-1]).max(axis=0)
    largest = np.zeros(graph.maps[layer.output].channels)
    for source in layer.sources:
        if source.weight is not None:
            largest = np.maximum(largest, np.abs(source.weight).max(axis=(0, 1, 2)))
    finest = np.maximum(biases, max(abs(threshold), abs(reset))) / FINEST
    scale = np.maximum(np.maximum(largest / 127, finest), 1e-30)
    unit = scale / 2**SHIFT
    sources, reach = [], biases / scale
    for source in layer.sources:
        most = graph.maps[source.map].most
        if source.weight is None:
            gain = np.rint(source.gain / scale)
            reach = reach + np.abs(gain) * most
            sources.append(
                SourceNumbers(source, 0, 0, gain=numbers.keep_sums(_filled(gain, width)))
            )
        else:
            whole = np.rint(source.weight / scale)
            reach = reach + np.abs(whole).sum(axis=(0, 1, 2)) * most
            weights = numbers.keep_weights(_blocks(whole, width).astype(np.int8))
            rows, columns = source.weight.shape[:2]
            sources.append(SourceNumbers(source, rows, columns, weights=weights))
    if reach.max() >= 2**31:
        raise ExportError("int8: a layer's sums may leave 32 bits: export float32")
    if layer.neuron is None:
        numbers.head_scale, numbers.head_bias = scale, layer.bias.reshape(-1)
    numbers.layers.append(
        LayerNumbers(
            layer,
            sources,
            bias=numbers.keep_sums(_filled(layer.bias / unit, width)),
            bias_by_pixel=layer.bias.ndim == 3,
            threshold=numbers.keep_sums(_filled(threshold / unit, width, 2**30)),
            reset=numbers.keep_sums(_filled(reset / unit, width)),
            soft=soft,
            leak=leak,
            shift=SHIFT,
        )
    )


def _constants(layer: Layer) -> tuple[float, float, bool, float]:
    """v_threshold, what a reset sets or subtracts, whether it subtracts, and 1 / tau."""
    if layer.neuron is None:
        return 0.0, 0.0, False, 0.0
    spec = layer.neuron.spec
    tau = float(torch.as_tensor(layer.neuron.current_tau(), dtype=torch.float64).detach())
    soft = spec.v_reset is None
    return spec.v_threshold, spec.v_threshold if soft else float(spec.v_reset or 0), soft, 1 / tau


def _filled(values: Array, width: int, fill: float = 0.0) -> Array:
    """Channels filled up to whole eights; those never spike."""
    more = [(0, 0)] * (values.ndim - 1) + [(0, width - values.shape[-1])]
    return np.pad(values, more, constant_values=fill)


def _blocks(weight: Array, width: int) -> Array:
    """[rows, columns, C_in, C_out] -> by block of output channels: [rows, columns, C_in, block]."""
    filled, pieces, first = _filled(weight, width), [], 0
    while first < width:
        block = next(size for size in BLOCKS if size <= width - first)
        pieces.append(filled[..., first : first + block].ravel())
        first += block
    return np.concatenate(pieces)
