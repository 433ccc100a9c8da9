"""A network as a NIR graph: what is connected to what, in one file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from tempreg.export.errors import ExportError
from tempreg.export.nir_neurons import gain, refuse_unsayable
from tempreg.export.nir_nodes import Builder, Signal, needs_nir
from tempreg.export.nir_traced import traced_graph
from tempreg.export.notes import notes_of, told
from tempreg.export.program import Scaling
from tempreg.export.request import Request
from tempreg.files import replacing
from tempreg.models.base import SpikingNetwork
from tempreg.models.layers import ConvNorm, ConvNormNeuron
from tempreg.models.readout import READOUT
from tempreg.models.resnet import BasicBlock, ResNet19, SEWBlock, SEWResNet
from tempreg.models.vgg import PlainNetwork
from tempreg.neurons import Layer

if TYPE_CHECKING:
    import nir


def write(request: Request) -> list[str]:
    """See `formats.Format`; the neurons of NIR keep their state."""
    network, size = request.network, request.input_size
    notes = notes_of(request, f"[{network.in_channels}, {size[0]}, {size[1]}] a timestep")
    shape = size if isinstance(network, SpikingNetwork) else (network.in_channels, *size)
    write_nir(network, request.file, input_size=shape, scaling=request.scaling, notes=notes)
    return [*told(notes), "NIR: dt 0.001 s a timestep, batch norm folded; readers: docs/export.md"]


def write_nir(
    model: nn.Module,
    path: Path,
    *,
    input_size: tuple[int, ...],
    scaling: Scaling | None = None,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Replace the file at `path` by the network as a NIR graph: see `nir_graph`, which has
    `input_size` [H, W], and of networks of the user's `traced_graph`, which has [C, H, W]."""
    if isinstance(model, (PlainNetwork, ResNet19, SEWResNet)):
        graph = nir_graph(model, input_size=input_size, scaling=scaling)
    elif isinstance(model, SpikingNetwork):
        _refuse_readout(model)
        shape = (model.in_channels, *input_size)
        graph = traced_graph(model, input_shape=shape, scaling=scaling)
    else:
        graph = traced_graph(model, input_shape=input_size, scaling=scaling)
    graph.metadata |= {name: text for name, text in (notes or {}).items() if text}
    import h5py
    import nir

    content = io.BytesIO()  # in memory first: on a full disk HDF5 ends the process
    nir.write(content, graph)
    # Left out where it is 0, which it then is taken for: nir up to 1.0.4 doesn't know it.
    with h5py.File(content, "r+") as file:
        for name, node in graph.nodes.items():
            if isinstance(node, (nir.LIF, nir.IF, nir.CubaLIF)) and not node.v_reset.any():
                del file[f"node/nodes/{name}/v_reset"]
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def _refuse_readout(model: SpikingNetwork) -> None:
    if model.readout is not None:
        raise ExportError(
            f"NIR is written with each timestep's own logits, and not with a {READOUT}: export all "
            "timesteps to onnx or torch"
        )


def nir_graph(
    model: SpikingNetwork, *, input_size: tuple[int, ...], scaling: Scaling | None = None
) -> nir.NIRGraph:
    """The network as a NIR graph, whose output at each step is the logits of that step.

    Batch norms are folded, in float64, with their running statistics; averages are sums, with
    the division in the weights that follow. The class is the largest mean logit over the steps.

    Args:
        model: a network of `tempreg.models`.
        input_size: (H, W) of its inputs.
        scaling: where these are pixels, what they are multiplied by, and what is added: a first
            convolution of 1 x 1.

    Raises:
        PackageMissing: the package nir isn't installed.
        ExportError: NIR has no word for its neurons, and none is made up for other networks.
    """
    needs_nir()
    refuse_unsayable(model)
    _refuse_readout(model)
    graph = Builder((model.in_channels, *input_size))
    x = graph.input if scaling is None else graph.standardised("standardise", graph.input, scaling)
    x = _unit(graph, "stem", model.stem, x, model.stem_neuron)
    if isinstance(model, PlainNetwork):
        x = graph.flat("flat", _plain_body(graph, model.body, x))
    elif isinstance(model, (ResNet19, SEWResNet)):
        x = (
            graph.any_pool("stem_pool", x, (3, 3), (2, 2), (1, 1))
            if isinstance(model, SEWResNet)
            else x
        )
        for index, block in enumerate(model.body):
            x = _block(graph, f"body_{index}", block, x)
        x = graph.flat("flat", graph.mean_pool("mean", x, (x.shape[1], x.shape[2])))
    else:
        raise ExportError(f"{type(model).__name__} has no form in NIR that is known here")
    if isinstance(model, ResNet19):
        current = graph.linear("hidden", model.hidden, x, model.hidden_neuron)
        x = graph.neuron("hidden_neuron", model.hidden_neuron, current.sources, current)
    assert isinstance(model.head, nn.Linear)
    x = graph.linear("head", model.head, x, None)
    return graph.finished(x, steps=model.num_steps)


def _unit(graph: Builder, name: str, unit: ConvNorm, x: Signal, neuron: Layer) -> Signal:
    current = graph.convolution(f"{name}_conv", unit, x, neuron)
    return graph.neuron(f"{name}_neuron", neuron, current.sources, current)


def _plain_body(graph: Builder, body: nn.Sequential, x: Signal) -> Signal:
    for index, module in enumerate(body):
        name = f"body_{index}"
        if isinstance(module, ConvNormNeuron):
            x = _unit(graph, name, module.unit, x, module.neuron)
        else:
            x = graph.mean_pool(name, x, (2, 2))
    return x


def _block(graph: Builder, name: str, block: nn.Module, x: Signal) -> Signal:
    """A residual block: two edges into one node add up."""
    if isinstance(block, SEWBlock):
        first = _unit(graph, f"{name}_first", block.first.unit, x, block.first.neuron)
        second = _unit(graph, f"{name}_second", block.second.unit, first, block.second.neuron)
        if isinstance(block.shortcut, ConvNormNeuron):
            unit, neuron = block.shortcut.unit, block.shortcut.neuron
            x = _unit(graph, f"{name}_shortcut", unit, x, neuron)
        return Signal(second.sources + x.sources, second.shape)
    assert isinstance(block, BasicBlock)
    first = _unit(graph, f"{name}_first", block.first.unit, x, block.first.neuron)
    second = graph.convolution(f"{name}_second_conv", block.second, first, block.neuron)
    if isinstance(block.shortcut, ConvNorm):
        x = graph.convolution(f"{name}_shortcut_conv", block.shortcut, x, block.neuron)
    else:
        x = graph.scaled(f"{name}_shortcut", x, gain(block.neuron))
    return graph.neuron(f"{name}_neuron", block.neuron, second.sources + x.sources, second)
