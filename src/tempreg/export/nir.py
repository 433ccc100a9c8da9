"""A network as a NIR graph: what is connected to what, in one file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from tempreg.errors import PackageMissing
from tempreg.export.errors import ExportError
from tempreg.export.nir_nodes import DT, Builder, Signal, gain
from tempreg.files import replacing
from tempreg.models.base import SpikingNetwork
from tempreg.models.layers import ConvNorm, ConvNormNeuron
from tempreg.models.resnet import BasicBlock, ResNet19, SEWBlock, SEWResNet
from tempreg.models.vgg import PlainNetwork
from tempreg.neurons import Neuron

if TYPE_CHECKING:
    import nir


def write_nir(model: SpikingNetwork, path: Path, *, input_size: tuple[int, int]) -> None:
    """Replace the file at `path` by the network as a NIR graph; see `nir_graph`."""
    graph = nir_graph(model, input_size=input_size)
    import h5py
    import nir

    content = io.BytesIO()  # in memory first: on a full disk HDF5 ends the process
    nir.write(content, graph)
    # Left out where it is 0, which it then is taken for: nir up to 1.0.4 doesn't know it.
    with h5py.File(content, "r+") as file:
        for name, node in graph.nodes.items():
            if isinstance(node, (nir.LIF, nir.IF)) and not node.v_reset.any():
                del file[f"node/nodes/{name}/v_reset"]
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def nir_graph(model: SpikingNetwork, *, input_size: tuple[int, int]) -> nir.NIRGraph:
    """The network as a NIR graph, whose output at each step is the logits of that step.

    Batch norms are folded, in float64, with their running statistics; averages are sums, with
    the division in the weights that follow. The class is the largest mean logit over the steps.

    Args:
        model: a network of `tempreg.models`.
        input_size: (H, W) of its inputs.

    Raises:
        PackageMissing: the package nir isn't installed.
        ExportError: NIR has no word for a soft reset, and none is made up for other networks.
    """
    try:
        import nir
    except ModuleNotFoundError:
        raise PackageMissing(
            "--format nir needs the package nir: pip install 'tempreg[nir]'"
        ) from None
    _check(model)
    graph = Builder((model.in_channels, *input_size))
    x = _unit(graph, "stem", model.stem, graph.input, model.stem_neuron)
    if isinstance(model, PlainNetwork):
        x = graph.flat("flat", _plain_body(graph, model.body, x))
    elif isinstance(model, (ResNet19, SEWResNet)):
        x = graph.any_pool("stem_pool", x) if isinstance(model, SEWResNet) else x
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
    graph.node("output", nir.Output({"output": np.array(x.shape)}), x.sources, x.shape)
    # Shapes are said by the nodes that have any; nir's own check doesn't know sums and pools.
    made = nir.NIRGraph(graph.nodes, graph.edges, type_check=False)
    made.metadata = {
        "source": "tempreg",
        "dt": DT,
        "units": "tau in seconds; one timestep is dt; potentials in units of the threshold's",
        "step": "forward Euler, spikes strictly above the threshold, then the reset",
        "steps": model.num_steps,
        "readout": "class logits at every timestep; the class is the largest mean over timesteps",
    }
    return made


def _check(model: SpikingNetwork) -> None:
    for name, module in model.named_modules():
        if isinstance(module, Neuron) and module.spec.v_reset is None:
            raise ExportError(
                f"NIR can't say the soft reset of {name}: its neurons are set to v_reset after a "
                "spike; export to onnx or torch, or train with --model.v-reset 0"
            )


def _unit(graph: Builder, name: str, unit: ConvNorm, x: Signal, neuron: Neuron) -> Signal:
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
