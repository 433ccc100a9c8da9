"""One layer of a network as nodes of NIR, the Neuromorphic Intermediate Representation.

NIR (Pedersen et al. 2024, https://neuroir.org) states neurons in continuous time:

    LIF  tau dv/dt = (v_leak - v) + R I         IF  dv/dt = R I

and a reader steps them with forward Euler. With v_leak = 0 and R = 1 its step of dt is
v + dt/tau (I - v), which is ours, v / tau' + x, where tau = dt tau' / (tau' - 1) and
I = x tau' / (tau' - 1). That gain goes into the weights, for readers differ in what they make
of R. At tau' = 1 the neuron is an IF of R = 1 / dt. Spikes are strict (v > v_threshold) in
both, and come before the hard reset.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from tempreg.export.fold import folded
from tempreg.models.layers import ConvNorm
from tempreg.neurons import Neuron

if TYPE_CHECKING:
    import nir

DT = 1e-3
"""Seconds that one timestep stands for: what Norse takes unless told otherwise."""


@dataclass(frozen=True)
class Signal:
    """What flows between nodes: `factor` times the sum of what the sources give. Final.

    `shape` is that of one sample at one timestep, [C, H, W] or [features].
    """

    sources: tuple[str, ...]
    shape: tuple[int, ...]
    factor: float = 1.0


class Builder:
    """Collects the nodes and edges of a graph. Final."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        import nir

        self.nir = nir
        self.nodes: dict[str, nir.NIRNode] = {}
        self.edges: list[tuple[str, str]] = []
        self.input = self.node("input", nir.Input({"input": np.array(shape)}), (), shape)

    def node(
        self, name: str, node: nir.NIRNode, sources: tuple[str, ...], shape: tuple[int, ...]
    ) -> Signal:
        """A node that takes the sum of its sources."""
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return Signal((name,), shape)

    def convolution(self, name: str, unit: ConvNorm, x: Signal, neuron: Neuron) -> Signal:
        """Convolution with its norm, giving what the neuron's node takes."""
        weight, bias = folded(unit, x.factor, gain(neuron))
        conv = unit.conv
        node = self.nir.Conv2d(
            input_shape=x.shape[1:],
            weight=_array(weight),
            stride=tuple(conv.stride),
            padding=tuple(conv.padding),
            dilation=tuple(conv.dilation),
            groups=conv.groups,
            bias=_array(bias),
        )
        assert not isinstance(conv.padding, str)
        layout = zip(x.shape[1:], conv.kernel_size, conv.stride, conv.padding, strict=True)
        size = [(edge + 2 * pad - kernel) // stride + 1 for edge, kernel, stride, pad in layout]
        return self.node(name, node, x.sources, (conv.out_channels, *size))

    def linear(self, name: str, layer: nn.Linear, x: Signal, neuron: Neuron | None) -> Signal:
        """Linear layer; without a neuron behind it, its outputs are as they are."""
        scale = 1.0 if neuron is None else gain(neuron)
        weight, bias = layer.weight.double() * x.factor * scale, layer.bias.double() * scale
        node = self.nir.Affine(_array(weight), _array(bias))
        return self.node(name, node, x.sources, (layer.out_features,))

    def neuron(self, name: str, neuron: Neuron, current: tuple[str, ...], shape: Signal) -> Signal:
        """The neurons that take the sum of these nodes; every parameter has one value a neuron."""
        full = shape.shape
        tau, spec = _tau(neuron), neuron.spec
        assert spec.v_reset is not None
        threshold = np.full(full, spec.v_threshold, np.float32)
        reset = np.full(full, spec.v_reset, np.float32)
        zero, one = np.zeros(full, np.float32), np.ones(full, np.float32)
        if tau == 1.0:
            node = self.nir.IF(r=one / np.float32(DT), v_threshold=threshold, v_reset=reset)
        else:
            node = self.nir.LIF(
                tau=np.full(full, DT * tau / (tau - 1), np.float32),
                r=one,
                v_leak=zero,
                v_threshold=threshold,
                v_reset=reset,
            )
        node.metadata = {"steps_tau": tau, "step": "v / steps_tau + x, x after the gain", "dt": DT}
        return self.node(name, node, current, full)

    def scaled(self, name: str, x: Signal, factor: float) -> Signal:
        """The signal times a factor, by a node where that isn't 1."""
        if factor * x.factor == 1.0:
            return x
        node = self.nir.Scale(np.full(x.shape, factor * x.factor, np.float32))
        return self.node(name, node, x.sources, x.shape)

    def mean_pool(self, name: str, x: Signal, kernel: tuple[int, int]) -> Signal:
        """Averages of windows side by side: their sums here, the division in the next weights."""
        pooled = self._sum_pool(name, x, kernel, kernel, (0, 0))
        return replace(pooled, factor=x.factor / (kernel[0] * kernel[1]))

    def any_pool(self, name: str, x: Signal) -> Signal:
        """Max pooling 3x3/2 of spikes, which is whether their sum is above a half."""
        summed = self._sum_pool(f"{name}_sum", x, (3, 3), (2, 2), (1, 1))
        node = self.nir.Threshold(np.full(summed.shape, 0.5, np.float32))
        return self.node(name, node, summed.sources, summed.shape)

    def flat(self, name: str, x: Signal) -> Signal:
        """[C, H, W] -> [C * H * W]. Counted from the end, so that a batch may come before."""
        node = self.nir.Flatten({"input": np.array(x.shape)}, start_dim=-3, end_dim=-1)
        flat = self.node(name, node, x.sources, (int(np.prod(x.shape)),))
        return replace(flat, factor=x.factor)

    def _sum_pool(
        self,
        name: str,
        x: Signal,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> Signal:
        node = self.nir.SumPool2d(np.array(kernel), np.array(stride), np.array(padding))
        size = [(x.shape[1 + i] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in range(2)]
        return self.node(name, node, x.sources, (x.shape[0], *size))


def gain(neuron: Neuron) -> float:
    """What x is multiplied by to be the current I of the neuron's node."""
    tau = _tau(neuron)
    return 1.0 if tau == 1.0 else tau / (tau - 1)


def _tau(neuron: Neuron) -> float:
    return float(torch.as_tensor(neuron.current_tau(), dtype=torch.float64).detach())


def _array(values: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return values.detach().cpu().to(torch.float32).numpy()
