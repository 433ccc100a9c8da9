"""One layer of a network as nodes of NIR; its neurons: `nir_neurons`."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np
import torch
from torch import Tensor, nn

from tempreg.errors import PackageMissing, to_install
from tempreg.export.fold import folded
from tempreg.export.nir_neurons import DT, gain, node_of
from tempreg.export.notes import READOUT
from tempreg.export.program import Scaling
from tempreg.models.layers import ConvNorm
from tempreg.neurons import Layer

if TYPE_CHECKING:
    import nir


Pair = tuple[int, int]
"""Of height and width."""


@final
class ConvLayout(NamedTuple):
    """How a convolution goes over its input."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def size(self, sides: Sequence[int], kernel: Sequence[int]) -> list[int]:
        """Height and width of what it gives."""
        each = zip(sides, kernel, self.stride, self.padding, self.dilation, strict=True)
        return [
            (edge + 2 * pad - gap * (k - 1) - 1) // step + 1 for edge, k, step, pad, gap in each
        ]


@final
@dataclass(frozen=True)
class Signal:
    """What flows between nodes: `factor` times the sum of what the sources give.

    `shape` is that of one sample at one timestep, [C, H, W] or [features].
    """

    sources: tuple[str, ...]
    shape: tuple[int, ...]
    factor: float = 1.0


@final
class Builder:
    """Collects the nodes and edges of a graph."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        import nir

        self.nir = nir
        self.nodes: dict[str, nir.NIRNode] = {}
        self.edges: list[tuple[str, str]] = []
        self.input = self.node("input", nir.Input({"input": np.array(shape)}), (), shape)

    def node(
        self, name: str, node: nir.NIRNode, sources: tuple[str, ...], shape: tuple[int, ...]
    ) -> Signal:
        """A node that takes the sum of its sources; where its name is taken, with a number."""
        wanted, count = name, 2
        while name in self.nodes:
            name, count = f"{wanted}_{count}", count + 1
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return Signal((name,), shape)

    def standardised(self, name: str, x: Signal, scaling: Scaling) -> Signal:
        """Pixels to what the network takes, each channel for itself: a convolution of 1 x 1."""
        channels = x.shape[0]
        scale, offset = (
            torch.as_tensor(value, dtype=torch.float64).reshape(-1).expand(channels)
            for value in scaling
        )
        node = self.nir.Conv2d(
            input_shape=x.shape[1:],
            weight=_array(torch.diag(scale)[:, :, None, None]),
            stride=(1, 1),
            padding=(0, 0),
            dilation=(1, 1),
            groups=1,
            bias=_array(offset),
        )
        return self.node(name, node, x.sources, x.shape)

    def finished(self, x: Signal, steps: int | None) -> nir.NIRGraph:
        """The graph that ends with this signal; `steps` is T, where it is known."""
        output = self.nir.Output({"output": np.array(x.shape)})
        self.node("output", output, x.sources, x.shape)
        # Shapes are said by the nodes that have any; nir's own check doesn't know sums and pools.
        made = self.nir.NIRGraph(self.nodes, self.edges, type_check=False)
        made.metadata = {
            "source": "tempreg",
            "dt": DT,
            "units": "tau in seconds; one timestep is dt; potentials in units of the threshold's",
            "step": "forward Euler, spikes strictly above the threshold, then the reset",
            "readout": f"logits at every timestep; {READOUT}",
        }
        if steps is not None:
            made.metadata["steps"] = steps
        return made

    def convolution(self, name: str, unit: ConvNorm, x: Signal, neuron: Layer) -> Signal:
        """Convolution with its norm, giving what the neuron's node takes."""
        weight, bias = folded(unit, x.factor, gain(neuron))
        conv = unit.conv
        assert not isinstance(conv.padding, str)
        layout = ConvLayout(conv.stride, conv.padding, conv.dilation, conv.groups)
        return self.convolved(name, layout, weight, bias, x)

    def convolved(
        self, name: str, layout: ConvLayout, weight: Tensor, bias: Tensor, x: Signal
    ) -> Signal:
        """A convolution by weights [C_out, C_in / groups, k, k] and biases [C_out].

        Groups are written out, with zeros: nir's check of shapes, when it reads, knows of none.
        """
        if layout.groups > 1:
            weight, layout = _dense(weight, layout.groups), layout._replace(groups=1)
        node = self.nir.Conv2d(
            input_shape=x.shape[1:],
            weight=_array(weight),
            stride=layout.stride,
            padding=layout.padding,
            dilation=layout.dilation,
            groups=layout.groups,
            bias=_array(bias),
        )
        size = layout.size(x.shape[1:], weight.shape[2:])
        return self.node(name, node, x.sources, (len(bias), *size))

    def linear(self, name: str, layer: nn.Linear, x: Signal, neuron: Layer | None) -> Signal:
        """Linear layer; without a neuron behind it, its outputs are as they are."""
        scale = 1.0 if neuron is None else gain(neuron)
        weight, bias = layer.weight.double() * x.factor * scale, layer.bias.double() * scale
        return self.affine(name, weight, bias, x)

    def affine(self, name: str, weight: Tensor, bias: Tensor, x: Signal) -> Signal:
        """weight [rows, features] times the sources, plus bias [rows]."""
        node = self.nir.Affine(_array(weight), _array(bias))
        return self.node(name, node, x.sources, (len(bias),))

    def neuron(self, name: str, neuron: Layer, current: tuple[str, ...], shape: Signal) -> Signal:
        """The neurons that take the sum of these nodes; every parameter has one value a neuron."""
        return self.node(name, node_of(neuron, shape.shape), current, shape.shape)

    def scaled(self, name: str, x: Signal, factor: float) -> Signal:
        """The signal times a factor, by a node where that isn't 1."""
        if factor * x.factor == 1.0:
            return x
        return self.node(name, self.scale(x.shape, factor * x.factor), x.sources, x.shape)

    def scale(self, shape: tuple[int, ...], factor: float) -> nir.NIRNode:
        """What multiplies each value."""
        return self.nir.Scale(np.full(shape, factor, np.float32))

    def mean_pool(self, name: str, x: Signal, kernel: tuple[int, int]) -> Signal:
        """Averages of windows side by side: their sums here, the division in the next weights."""
        pooled = self.sum_pool(name, x, kernel, kernel, (0, 0))
        return replace(pooled, factor=x.factor / (kernel[0] * kernel[1]))

    def any_pool(self, name: str, x: Signal, kernel: Pair, stride: Pair, padding: Pair) -> Signal:
        """Max pooling of spikes, which is whether their sum is above a half."""
        summed = self.sum_pool(f"{name}_sum", x, kernel, stride, padding)
        node = self.nir.Threshold(np.full(summed.shape, 0.5, np.float32))
        return self.node(name, node, summed.sources, summed.shape)

    def flat(self, name: str, x: Signal) -> Signal:
        """[C, H, W] -> [C * H * W]. Counted from the end, so that a batch may come before."""
        first = -len(x.shape)
        node = self.nir.Flatten({"input": np.array(x.shape)}, start_dim=first, end_dim=-1)
        flat = self.node(name, node, x.sources, (int(np.prod(x.shape)),))
        return replace(flat, factor=x.factor)

    def sum_pool(self, name: str, x: Signal, kernel: Pair, stride: Pair, padding: Pair) -> Signal:
        """Sums of windows."""
        node = self.nir.SumPool2d(np.array(kernel), np.array(stride), np.array(padding))
        size = [(x.shape[1 + i] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in range(2)]
        return self.node(name, node, x.sources, (x.shape[0], *size))


def needs_nir() -> None:
    """PackageMissing where the package nir isn't installed."""
    if importlib.util.find_spec("nir") is None:
        raise PackageMissing(f"--format nir needs the package nir: {to_install('nir')}")


def _dense(weight: Tensor, groups: int) -> Tensor:
    """The weights [C_out, C_in, k, k] of a convolution whose groups don't see each other."""
    rows, inputs = weight.shape[0] // groups, weight.shape[1]
    dense = weight.new_zeros(weight.shape[0], inputs * groups, *weight.shape[2:])
    for i, part in enumerate(weight.split(rows)):
        dense[i * rows : (i + 1) * rows, i * inputs : (i + 1) * inputs] = part
    return dense


def _array(values: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return values.detach().cpu().to(torch.float32).numpy()
