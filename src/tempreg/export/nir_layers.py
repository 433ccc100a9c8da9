"""What torch's functions are as nodes of NIR, one function here for each: `KNOWN`.

A layer with weights becomes a node only when what follows is known, for batch norms and the gains
of neurons go into its weights: until then it is `Weighted`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from tempreg.export.errors import ExportError
from tempreg.export.nir_nodes import Builder, ConvLayout, Signal

Pair = int | tuple[int, int]


@final
@dataclass(frozen=True)
class Weighted:
    """A convolution, or where `layout` is None a linear layer, that isn't a node yet."""

    name: str
    source: Signal
    weight: Tensor
    bias: Tensor
    layout: ConvLayout | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample at one timestep."""
        rows = self.weight.shape[0]
        if self.layout is None:
            return (rows,)
        return (rows, *self.layout.size(self.source.shape[1:], self.weight.shape[2:]))

    def times(self, factor: float) -> Weighted:
        """The same, with its outputs multiplied."""
        return replace(self, weight=self.weight * factor, bias=self.bias * factor)


@final
@dataclass(frozen=True)
class Flow:
    """What a tensor stands for: of all timesteps and samples one after the other, or not.

    Attributes:
        of: the signal, one sample at one timestep.
        folded: whether the tensor is [T * B, ...]; else it is [T, B, ...].
        spikes: whether its values are 0 and 1.
    """

    of: Signal | Weighted
    folded: bool
    spikes: bool = False


def signal(graph: Builder, flow: Flow, gain: float = 1.0) -> Signal:
    """The signal as that of nodes, times a gain; weights that were waiting are a node now."""
    of = flow.of
    if isinstance(of, Weighted):
        of = of.times(gain)
        weight = of.weight * of.source.factor
        if of.layout is None:
            return graph.affine(of.name, weight, of.bias, of.source)
        return graph.convolved(of.name, of.layout, weight, of.bias, of.source)
    return of if gain == 1.0 else replace(of, factor=of.factor * gain)


def conv2d(
    graph: Builder,
    name: str,
    x: Flow,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Flow:
    """torch.conv2d of [T * B, C, H, W]."""
    source = _map(graph, name, x)
    if isinstance(padding, str):
        raise ExportError(f"{name}: NIR's convolutions are known here with padding in numbers")
    zeros = weight.new_zeros(weight.shape[0], dtype=torch.float64)
    layout = ConvLayout(_pair(stride), _pair(padding), _pair(dilation), groups)
    biases = zeros if bias is None else bias.double()
    return Flow(Weighted(name, source, weight.double(), biases, layout), x.folded)


def linear(graph: Builder, name: str, x: Flow, weight: Tensor, bias: Tensor | None = None) -> Flow:
    """torch.nn.functional.linear of [..., features]."""
    source = signal(graph, x)
    if len(source.shape) != 1:
        raise ExportError(
            f"{name}: a linear layer takes vectors here, and gets {list(source.shape)} a sample: "
            "flatten it first"
        )
    zeros = weight.new_zeros(weight.shape[0], dtype=torch.float64)
    biases = zeros if bias is None else bias.double()
    return Flow(Weighted(name, source, weight.double(), biases, None), x.folded)


def batch_norm(
    graph: Builder,
    name: str,
    x: Flow,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Flow:
    """torch.nn.functional.batch_norm of [T * B, C, ...]: into the weights before it, or alone."""
    if not x.folded:
        raise ExportError(f"{name}: batch norm of a tensor [T, B, ...] would take B for channels")
    if training or running_mean is None or running_var is None:
        raise ExportError(f"{name}: batch norm without running statistics has no form in NIR")
    scale = (running_var.double() + eps).rsqrt() * (1.0 if weight is None else weight.double())
    shift = (0.0 if bias is None else bias.double()) - running_mean.double() * scale
    of = x.of
    if isinstance(of, Weighted):
        rows = scale.reshape(-1, *[1] * (of.weight.ndim - 1))
        folded = replace(of, weight=of.weight * rows, bias=of.bias * scale + shift)
        return replace(x, of=folded)
    if len(of.shape) == 1:
        return replace(x, of=Weighted(name, of, torch.diag(scale), shift, None), spikes=False)
    layout = ConvLayout((1, 1), (0, 0), (1, 1), len(scale))
    alone = Weighted(name, of, scale.reshape(-1, 1, 1, 1), shift, layout)
    return replace(x, of=alone, spikes=False)


def avg_pool2d(
    graph: Builder,
    name: str,
    x: Flow,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Flow:
    """torch.nn.functional.avg_pool2d of [T * B, C, H, W]."""
    source, kernel, pad = _map(graph, name, x), _pair(kernel_size), _pair(padding)
    if ceil_mode or (any(pad) and not count_include_pad):
        raise ExportError(
            f"{name}: NIR's pooling has no ceil_mode, and counts what is padded: set "
            "ceil_mode=False and count_include_pad=True"
        )
    step = _pair(stride) if stride else kernel
    pooled = graph.sum_pool(name, source, kernel, step, pad)
    divisor = divisor_override or kernel[0] * kernel[1]
    return Flow(replace(pooled, factor=source.factor / divisor), x.folded)


def adaptive_avg_pool2d(graph: Builder, name: str, x: Flow, output_size: Any) -> Flow:
    """torch.nn.functional.adaptive_avg_pool2d where the windows are equal."""
    source = _map(graph, name, x)
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    sides = [(edge, to or edge) for edge, to in zip(source.shape[1:], wanted, strict=True)]
    if any(edge % to for edge, to in sides):
        raise ExportError(f"{name}: windows of different sizes have no form in NIR")
    kernel = (sides[0][0] // sides[0][1], sides[1][0] // sides[1][1])
    return Flow(graph.mean_pool(name, source, kernel), x.folded)


def max_pool2d(
    graph: Builder,
    name: str,
    x: Flow,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Flow:
    """torch.nn.functional.max_pool2d of spikes [T * B, C, H, W]: whether there is one."""
    source = _map(graph, name, x)
    if not x.spikes or source.factor != 1.0:
        raise ExportError(
            f"{name}: max pooling has a form in NIR for spikes alone: export to onnx or torch"
        )
    if ceil_mode or _pair(dilation) != (1, 1):
        raise ExportError(f"{name}: NIR's pooling has neither ceil_mode nor dilation")
    kernel = _pair(kernel_size)
    step = _pair(stride) if stride else kernel
    return Flow(graph.any_pool(name, source, kernel, step, _pair(padding)), x.folded, spikes=True)


def mean(graph: Builder, name: str, x: Flow, *, keepdim: bool) -> Flow:
    """The mean over height and width."""
    source = signal(graph, x)
    pooled = graph.mean_pool(name, source, (source.shape[1], source.shape[2]))
    return Flow(pooled if keepdim else graph.flat(f"{name}_flat", pooled), x.folded)


def add(graph: Builder, name: str, x: Flow, other: Flow) -> Flow:
    """The sum of two signals: two edges into one node."""
    a, b = signal(graph, x), signal(graph, other)
    if a.shape != b.shape or x.folded != other.folded:
        raise ExportError(
            f"{name}: a sum of {list(a.shape)} and {list(b.shape)} has no form in NIR"
        )
    if a.factor != b.factor:
        a, b = graph.scaled(f"{name}_first", a, 1.0), graph.scaled(f"{name}_second", b, 1.0)
    if set(a.sources) & set(b.sources):  # an edge counts once
        b = graph.node(f"{name}_again", graph.scale(b.shape, 1.0), b.sources, b.shape)
        b = replace(b, factor=a.factor)
    return Flow(replace(a, sources=a.sources + b.sources), x.folded)


def flat(graph: Builder, name: str, x: Flow) -> Flow:
    """Of every sample a vector."""
    return replace(x, of=graph.flat(name, signal(graph, x)))


def _map(graph: Builder, name: str, x: Flow) -> Signal:
    source = signal(graph, x)
    if len(source.shape) != 3 or not x.folded:
        raise ExportError(
            f"{name}: what works on maps takes [T * B, C, H, W] here, and gets "
            f"{list(source.shape)} a sample{'' if x.folded else ' with T and B apart'}"
        )
    return source


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    values = tuple(int(each) for each in value)
    return (values[0], values[-1])


KNOWN: Mapping[Callable[..., Any], Callable[..., Flow]] = {
    torch.conv2d: conv2d,
    F.linear: linear,
    F.batch_norm: batch_norm,
    F.avg_pool2d: avg_pool2d,
    F.adaptive_avg_pool2d: adaptive_avg_pool2d,
    torch.max_pool2d: max_pool2d,
    F.max_pool2d: max_pool2d,
}
"""By torch's function, of which they take the arguments."""
