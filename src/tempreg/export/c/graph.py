"""A network as what the C runtime runs: maps of counts, layers that gather them, and their order.

Batch norms are folded, averages are sums whose division is in the weights that follow, and the
scaling of inputs is in the first layer. All in float64; `emit` rounds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.export.errors import ExportError
from tempreg.export.fold import folded
from tempreg.models.base import SpikingNetwork
from tempreg.models.layers import ConvNorm, ConvNormNeuron
from tempreg.models.resnet import BasicBlock, ResNet19, SEWBlock, SEWResNet
from tempreg.models.vgg import PlainNetwork
from tempreg.neurons import IF, LIF, PLIF, PSN, Neuron

Array = NDArray[np.float64]
Kind = Literal["LAYER", "SUM_2X2", "MAX_3X3", "ADD", "LIST", "TOTAL", "HEAD"]
MOST_COUNT = 255
"""Counts are bytes."""


@final
@dataclass
class Map:
    """Counts [height, width, channels], each at most `most`; `factor` times them is meant."""

    height: int
    width: int
    channels: int
    most: int
    factor: float = 1.0


@final
@dataclass
class Source:
    """What a layer takes from a map: by weights [rows, columns, C_in, C_out], or itself, by a gain.

    Attributes:
        map: the map's number.
        weight: float64; None for the map itself, times `gain`.
    """

    map: int
    weight: Array | None = None
    step: int = 1
    padding: int = 0
    gain: float = 1.0


@final
@dataclass
class Layer:
    """Sums of sources and biases, and the neurons that take them; None: they are the logits.

    `bias` is [channels], or [height, width, channels] where padding makes it differ by place.
    """

    output: int
    sources: list[Source]
    bias: Array
    neuron: Neuron | None


@final
@dataclass(frozen=True)
class Operation:
    """One of the runtime's: which maps it reads (of a layer: its number) and writes."""

    kind: Kind
    first: int
    second: int = 0
    output: int = 0


@final
@dataclass
class Graph:
    """Maps, of which the first is the input, layers, and operations in their order."""

    maps: list[Map] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)

    def map(
        self, height: int, width: int, channels: int, most: int = 1, factor: float = 1.0
    ) -> int:
        """A new map's number."""
        if most > MOST_COUNT:
            raise ExportError(
                f"C keeps counts in bytes, and {most} spikes can meet here: take onnx or torch"
            )
        self.maps.append(Map(height, width, channels, most, factor))
        return len(self.maps) - 1

    def spikes(self, sources: list[Source], bias: Array, neuron: nn.Module, out: int) -> int:
        """Neurons on the map `out`, which they return."""
        assert isinstance(neuron, Neuron)  # see `check_known`
        self.layers.append(Layer(out, sources, bias, neuron))
        self.operations.append(Operation("LAYER", len(self.layers) - 1))
        return out

    def listed(self, map: int) -> int:
        """The map, once its non-zeros are listed: what weights are gathered for."""
        self.operations.append(Operation("LIST", map))
        return map

    def pooled(self, kind: Literal["SUM_2X2", "MAX_3X3"], map: int) -> int:
        """2x2 averages, or the largest of 3x3 at every second place."""
        x = self.maps[map]
        if kind == "SUM_2X2":
            out = self.map(x.height // 2, x.width // 2, x.channels, 4 * x.most, x.factor / 4)
        else:
            out = self.map((x.height + 1) // 2, (x.width + 1) // 2, x.channels, x.most, x.factor)
        self.operations.append(Operation(kind, map, output=out))
        return out

    def total(self, map: int) -> int:
        """The average over all pixels, as a map of one that is listed already."""
        x = self.maps[map]
        pixels = x.height * x.width
        self.maps.append(Map(1, 1, x.channels, x.most * pixels, x.factor / pixels))
        self.operations.append(Operation("TOTAL", map, output=len(self.maps) - 1))
        return len(self.maps) - 1


def graph_of(
    model: SpikingNetwork, input_size: tuple[int, int], scale: Array, offset: Array
) -> Graph:
    """The network for inputs x * scale + offset, each [C]; ExportError for one that isn't ours."""
    check_known(model)
    graph = Graph()
    graph.map(*input_size, model.in_channels)
    source, bias, out = _convolution(graph, model.stem, 0)
    assert source.weight is not None
    if offset.any():
        bias = _bias_by_pixel(source, bias, offset, graph.maps[0], graph.maps[out])
    source.weight = source.weight * scale[:, None]
    x = graph.spikes([source], bias, model.stem_neuron, out)
    if isinstance(model, PlainNetwork):
        for module in model.body:
            if isinstance(module, ConvNormNeuron):
                x = _unit(graph, module, graph.listed(x))
            else:
                x = graph.pooled("SUM_2X2", x)
        x = graph.listed(x)
    else:
        assert isinstance(model, (ResNet19, SEWResNet))
        x = graph.pooled("MAX_3X3", x) if isinstance(model, SEWResNet) else x
        for block in model.body:
            x = _sew(graph, block, x) if isinstance(block, SEWBlock) else _basic(graph, block, x)
        x = graph.total(x)
    if isinstance(model, ResNet19):
        source, bias = _linear(graph, model.hidden, x)
        out = graph.map(1, 1, model.hidden.out_features)
        x = graph.listed(graph.spikes([source], bias, model.hidden_neuron, out))
    assert isinstance(model.head, nn.Linear)
    source, bias = _linear(graph, model.head, x)
    graph.layers.append(Layer(graph.map(1, 1, model.num_classes), [source], bias, None))
    graph.operations.append(Operation("HEAD", len(graph.layers) - 1))
    return graph


def check_known(model: nn.Module, advice: str = "export to onnx or torch") -> None:
    """ExportError, with this advice, for a network or a neuron that the runtime doesn't know."""
    strange: nn.Module | None = next(
        (
            module
            for module in model.modules()
            if (hasattr(module, "initial_state") or isinstance(module, PSN))
            and type(module) not in (LIF, IF, PLIF)
        ),
        None,
    )
    if not isinstance(model, (PlainNetwork, ResNet19, SEWResNet)):
        strange = model
    if strange is not None:
        kind = type(getattr(strange, "model", strange)).__name__  # what a wrapper holds
        raise ExportError(
            "C is written of the networks csnn, vggsnn, resnet19, sew_resnet18 and sew_resnet34 "
            f"with LIF, IF and PLIF neurons, not of {kind}: {advice}"
        )


def _convolution(graph: Graph, unit: ConvNorm, map: int) -> tuple[Source, Array, int]:
    """A convolution of a map with its norm: its source, its bias and the map it needs."""
    x, conv = graph.maps[map], unit.conv
    weight, bias = folded(unit, x.factor, 1.0)
    assert not isinstance(conv.padding, str)
    step, padding, kernel = conv.stride[0], conv.padding[0], conv.kernel_size[0]
    height, width = ((edge + 2 * padding - kernel) // step + 1 for edge in (x.height, x.width))
    rows = _array(weight.permute(2, 3, 1, 0))
    return Source(map, rows, step, padding), _array(bias), graph.map(height, width, len(bias))


def _unit(graph: Graph, unit: ConvNormNeuron, map: int) -> int:
    source, bias, out = _convolution(graph, unit.unit, map)
    return graph.spikes([source], bias, unit.neuron, out)


def _basic(graph: Graph, block: nn.Module, x: int) -> int:
    assert isinstance(block, BasicBlock)
    graph.listed(x)
    first = graph.listed(_unit(graph, block.first, x))
    second, bias, out = _convolution(graph, block.second, first)
    shortcut = Source(x, gain=graph.maps[x].factor)
    if isinstance(block.shortcut, ConvNorm):
        shortcut, more, _ = _convolution(graph, block.shortcut, x)
        graph.maps.pop()  # the sum has one map
        bias = bias + more
    return graph.spikes([second, shortcut], bias, block.neuron, out)


def _sew(graph: Graph, block: SEWBlock, x: int) -> int:
    graph.listed(x)
    second = _unit(graph, block.second, graph.listed(_unit(graph, block.first, x)))
    if isinstance(block.shortcut, ConvNormNeuron):
        x = _unit(graph, block.shortcut, x)
    a, b = graph.maps[second], graph.maps[x]
    out = graph.map(a.height, a.width, a.channels, a.most + b.most)
    graph.operations.append(Operation("ADD", second, x, out))
    return out


def _linear(graph: Graph, layer: nn.Linear, map: int) -> tuple[Source, Array]:
    """A linear layer of a flattened map: a kernel as large as the map."""
    x = graph.maps[map]
    weight = layer.weight.detach().double().cpu() * x.factor
    shaped = weight.unflatten(1, (x.channels, x.height, x.width)).permute(2, 3, 1, 0)
    return Source(map, _array(shaped)), _array(layer.bias)


def _bias_by_pixel(source: Source, bias: Array, offset: Array, x: Map, out: Map) -> Array:
    """The bias where an input of 0 means `offset`, but the padding means 0: by place."""
    assert source.weight is not None
    frame = torch.from_numpy(offset)[None, :, None, None].expand(-1, -1, x.height, x.width)
    kernel = torch.from_numpy(source.weight).permute(3, 2, 0, 1)
    current = F.conv2d(frame, kernel, stride=source.step, padding=source.padding)[0]
    assert current.shape[1:] == (out.height, out.width)
    return _array(current.permute(1, 2, 0)) + bias


def _array(values: Tensor) -> Array:
    return np.ascontiguousarray(values.detach().cpu().double().numpy())
