"""A NIR graph run step by step as its text says it: forward Euler, one timestep at a time.

Written from NIR's equations alone; it knows nothing of the networks that were exported.
"""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import Any

import nir
import torch
from torch import Tensor
from torch.nn import functional as F


class Interpreter:
    """Runs graphs without cycles in float64. Final."""

    def __init__(self, graph: nir.NIRGraph, dt: float) -> None:
        self.graph, self.dt = graph, dt
        self.sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in graph.edges:
            self.sources[target].append(source)
        self.order = list(TopologicalSorter(self.sources).static_order())

    def run(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Outputs [T, B, ...], and by neuron node the spikes and the potentials before the reset.

        x is [T, B, ...].
        """
        potentials: dict[str, Any] = {}
        currents: dict[str, Any] = {}
        outputs = []
        spikes: dict[str, list[Tensor]] = {}
        charged: dict[str, list[Tensor]] = {}
        for frame in x.double():
            values: dict[str, Tensor] = {}
            for name in self.order:
                node = self.graph.nodes[name]
                if isinstance(node, nir.Input):
                    values[name] = frame
                    continue
                current = torch.stack([values[s] for s in self.sources[name]]).sum(0)
                if isinstance(node, (nir.LIF, nir.IF, nir.CubaLIF)):
                    v = potentials.get(name, torch.zeros_like(current))
                    if isinstance(node, nir.CubaLIF):
                        i = currents.get(name, torch.zeros_like(current))
                        i = i + self.dt * (_t(node.w_in) * current - i) / _t(node.tau_syn)
                        currents[name] = i
                        slope = (_t(node.v_leak) - v + _t(node.r) * i) / _t(node.tau_mem)
                    elif isinstance(node, nir.LIF):
                        slope = (_t(node.v_leak) - v + _t(node.r) * current) / _t(node.tau)
                    else:
                        slope = _t(node.r) * current
                    h = v + self.dt * slope
                    fired = h > _t(node.v_threshold)
                    potentials[name] = torch.where(fired, _t(node.v_reset), h)
                    spikes.setdefault(name, []).append(fired)
                    charged.setdefault(name, []).append(h)
                    values[name] = fired.double()
                else:
                    values[name] = _apply(node, current)
            (output,) = (n for n, node in self.graph.nodes.items() if isinstance(node, nir.Output))
            outputs.append(values[output])
        return torch.stack(outputs), _stacked(spikes), _stacked(charged)


def _apply(node: nir.NIRNode, x: Tensor) -> Tensor:
    if isinstance(node, nir.Conv2d):
        settings = [
            value if isinstance(value, str) else [int(v) for v in value]
            for value in (node.stride, node.padding, node.dilation)
        ]
        return F.conv2d(x, _t(node.weight), _t(node.bias), *settings, int(node.groups))
    if isinstance(node, nir.Affine):
        return x @ _t(node.weight).T + _t(node.bias)
    if isinstance(node, nir.Scale):
        return x * _t(node.scale)
    if isinstance(node, nir.Threshold):
        return (x > _t(node.threshold)).double()
    if isinstance(node, nir.SumPool2d):
        kernel, stride, padding = (
            [int(v) for v in value] for value in (node.kernel_size, node.stride, node.padding)
        )
        return F.avg_pool2d(x, kernel, stride, padding, divisor_override=1)
    if isinstance(node, nir.Flatten):
        return x.flatten(int(node.start_dim), int(node.end_dim))
    if isinstance(node, nir.Output):
        return x
    raise TypeError(f"no rule for {type(node).__name__}")


def _t(values: Any) -> Tensor:
    return torch.as_tensor(values).double()


def _stacked(lists: dict[str, list[Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack(items) for name, items in lists.items()}
