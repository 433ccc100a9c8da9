"""A NIR graph as a network of torch's layers and tempreg's neurons, to run, train and export again.

A neuron's node says its differential equation; one timestep of `dt` is forward Euler, as NIR's own
tools do it and as tempreg writes it:

    LIF       v + dt / tau (v_leak - v + r x)           = v / tau' + gain x + leak
    IF        v + dt r x
    CubaLIF   i + dt / tau_syn (w_in x - i), then the LIF with i
    LI        the LIF's potential, which never fires, as the output

Then a spike where it is above v_threshold, and the reset to v_reset. So tau' = 1 / (1 - dt / tau).
A layer's neurons have one tau, threshold and reset each; gains may differ.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from tempreg.errors import one_line, out_of_memory
from tempreg.interop.nir_reading import DAMAGED, NIRError, order_of, read_graph, timestep_of
from tempreg.models.layers import over_time
from tempreg.models.readout import MembraneReadout
from tempreg.neurons import IF, LIF, CubaLIF


@final
class Driven(nn.Module):
    """Neurons behind gain * x + leak, which are a number each or one a neuron."""

    gain: Tensor
    leak: Tensor

    def __init__(self, neurons: nn.Module, gain: Any, leak: Any) -> None:
        super().__init__()
        self.neurons = neurons
        gain, leak = _one_if_same(gain), _one_if_same(leak)
        self.factor = float(gain) if gain.ndim == 0 else None
        self.plain = self.factor is not None and leak.ndim == 0 and float(leak) == 0
        self.register_buffer("gain", gain)
        self.register_buffer("leak", leak)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes, or potentials, [T, B, ...]."""
        # As a number where it is one, so that an export can follow it.
        current = (
            x if self.factor == 1.0 else x * (self.gain if self.factor is None else self.factor)
        )
        made: Tensor = self.neurons(current if self.plain else current + self.leak)
        return made


@final
class SumPool(nn.Module):
    """The sum over each window."""

    def __init__(self, kernel: tuple[int, int], stride: Any, padding: Any) -> None:
        super().__init__()
        self.average = nn.AvgPool2d(kernel, stride, padding)
        self.count = kernel[0] * kernel[1]

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H', W']."""
        made: Tensor = self.average(x) * self.count
        return made


@final
class FromNIR(nn.Module):
    """The network of a NIR file: [T, B, *shape] -> [T, B, *output].

    Its weights are those of the file, and parameters that can be trained. In a run it is
    `model.name: tempreg.interop.nir_graphs:FromNIR` with `model.own: {file: FILE}`, which
    `tempreg import` writes.

    Args:
        file: the .nir file.
        dt: seconds of one timestep; None: what the file says (`metadata["dt"]`), else 1e-4.

    Raises:
        NIRError: no NIR graph, or something in it that has no form here, which is named.
        PackageMissing: the package nir isn't installed.
    """

    def __init__(self, file: str | PathLike[str], *, dt: float | None = None) -> None:
        super().__init__()
        graph = read_graph(Path(file))
        self.dt = timestep_of(Path(file), graph) if dt is None else float(dt)
        if not 0 < self.dt < float("inf"):
            raise NIRError(f"dt is seconds of one timestep, above 0, got {self.dt}")
        self.sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in graph.edges:
            self.sources[target].append(source)
        self.order = order_of(Path(file), self.sources)
        outputs = [n for n in self.order if type(graph.nodes[n]).__name__ == "Output"]
        if len(outputs) != 1 or sum(type(n).__name__ == "Input" for n in graph.nodes.values()) != 1:
            raise NIRError(f"{file}: a graph with one Input and one Output is wanted")
        self.output = outputs[0]
        layers: dict[str, nn.Module] = {}
        for name in self.order:
            if _path(name) in layers:
                raise NIRError(
                    f"{file}: two nodes are called {_path(name)[5:]}, but for their dots"
                )
            layers[_path(name)] = self._made(Path(file), graph, name)
        self.layers = nn.ModuleDict(layers)

    def _made(self, file: Path, graph: Any, name: str) -> nn.Module:
        """A node's layer, whose numbers are finite."""
        try:
            layer = self._layer(graph, name)
        except DAMAGED as error:
            if isinstance(error, NIRError) or out_of_memory(error):
                raise
            raise NIRError(
                f"{file}, node {name}: it can't be understood ({one_line(str(error))})"
            ) from None
        for kept in (*layer.parameters(), *layer.buffers()):
            if not torch.isfinite(kept).all():
                raise NIRError(
                    f"{file}, node {name}: it has numbers that are not finite in float32"
                )
        return layer

    def _layer(self, graph: Any, name: str) -> nn.Module:
        node = graph.nodes[name]
        kind = type(node).__name__
        if kind == "Threshold":
            return _max_pool(graph, name, self.sources)
        if kind == "SumPool2d" and _is_maximum(graph, name, self.sources):
            return nn.Identity()
        if kind not in _LAYERS:
            raise NIRError(
                f"node {name} is a {kind}, which has no form here: there are "
                f"{', '.join(sorted({*_LAYERS, 'Threshold'}))}"
            )
        return _LAYERS[kind](node, name, self.dt)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of every timestep."""
        values: dict[str, Tensor] = {}
        for name in self.order:
            given = [values[source] for source in self.sources[name]]
            total = x if not given else given[0]
            for other in given[1:]:
                total = total + other
            layer = self.layers[_path(name)]
            timed = isinstance(layer, (Driven, nn.Identity))
            values[name] = layer(total) if timed else over_time(layer, total)
        return values[self.output]


def _path(name: str) -> str:
    return "node_" + name.replace(".", "_")


def _numbers(values: Any) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)


def _one_if_same(values: Any) -> Tensor:
    each = torch.as_tensor(values, dtype=torch.float32)
    first = each.reshape(-1)[:1]
    return first[0] if len(first) and bool((each == first).all()) else each


def _one(node: Any, name: str, field: str) -> float:
    """The value that all of a layer's neurons share."""
    values = np.unique(np.asarray(getattr(node, field), dtype=np.float64))
    if not np.isfinite(values).all():
        raise NIRError(f"node {name}: {field} has numbers that are not finite")
    if len(values) != 1:
        raise NIRError(
            f"node {name}: {field} differs between neurons, and here a layer's share one"
        )
    return float(values[0])


def _decay(name: str, tau: float, dt: float) -> float:
    """Our tau, which divides at each timestep, of a time constant in seconds."""
    if tau <= dt:
        raise NIRError(
            f"node {name}: its time constant {tau:g} s is no longer than a timestep of {dt:g} s, "
            "after which nothing is left: give the dt that the graph was made for"
        )
    return 1.0 / (1.0 - dt / tau)


def _ends(node: Any, name: str) -> dict[str, Any]:
    reset = 0.0 if getattr(node, "v_reset", None) is None else _one(node, name, "v_reset")
    return {"v_threshold": _one(node, name, "v_threshold"), "v_reset": reset}


def _lif(node: Any, name: str, dt: float) -> nn.Module:
    tau = _one(node, name, "tau")
    neurons = LIF(tau=_decay(name, tau, dt), **_ends(node, name))
    share = dt / tau
    return Driven(neurons, share * _numbers(node.r), share * _numbers(node.v_leak))


def _if(node: Any, name: str, dt: float) -> nn.Module:
    return Driven(IF(**_ends(node, name)), dt * _numbers(node.r), 0.0)


def _cuba(node: Any, name: str, dt: float) -> nn.Module:
    mem, syn = _one(node, name, "tau_mem"), _one(node, name, "tau_syn")
    if np.asarray(node.v_leak).any():
        raise NIRError(f"node {name}: a CubaLIF with a v_leak other than 0 has no form here")
    neurons = CubaLIF(tau=_decay(name, mem, dt), tau_syn=_decay(name, syn, dt), **_ends(node, name))
    gain = (dt / mem) * (dt / syn) * _numbers(node.r) * _numbers(node.w_in)
    return Driven(neurons, gain, 0.0)


def _li(node: Any, name: str, dt: float) -> nn.Module:
    tau = _one(node, name, "tau")
    integrator = MembraneReadout(_decay(name, tau, dt))
    share = dt / tau
    return Driven(integrator, share * _numbers(node.r), share * _numbers(node.v_leak))


def _linear(node: Any, name: str, dt: float) -> nn.Module:
    weight = _numbers(node.weight)
    bias = getattr(node, "bias", None)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return _filled(layer, weight, bias)


def _conv(node: Any, name: str, dt: float) -> nn.Module:
    weight = _numbers(node.weight)
    kinds: dict[int, Callable[..., nn.Module]] = {3: nn.Conv1d, 4: nn.Conv2d}
    shape = {
        key: value if isinstance(value, str) else _sizes(value, weight.ndim - 2)
        for key, value in (
            ("stride", node.stride), ("padding", node.padding), ("dilation", node.dilation)
        )
    }  # fmt: skip
    groups = int(node.groups)
    channels = weight.shape[1] * groups
    layer = kinds[weight.ndim](
        channels, weight.shape[0], tuple(weight.shape[2:]), groups=groups, **shape
    )
    return _filled(layer, weight, node.bias)


def _sizes(value: Any, count: int) -> tuple[int, ...]:
    each = [int(v) for v in np.asarray(value).reshape(-1)]
    return tuple(each * count if len(each) == 1 else each)


def _filled(layer: Any, weight: Tensor, bias: Any) -> nn.Module:
    with torch.no_grad():
        layer.weight.copy_(weight)
        if layer.bias is not None:
            layer.bias.copy_(_numbers(bias))
    made: nn.Module = layer
    return made


def _pool(node: Any, name: str, kind: Callable[..., nn.Module]) -> nn.Module:
    sizes = (_sizes(v, 2) for v in (node.kernel_size, node.stride, node.padding))
    return kind(*((size[0], size[1]) for size in sizes))


def _flatten(node: Any, name: str, dt: float) -> nn.Module:
    # The batch is the first dimension of ours, as in the graphs of torch's tools.
    return nn.Flatten(max(1, int(node.start_dim)), int(node.end_dim))


@final
class Scaling(nn.Module):
    """x times a factor, which is one number or one an entry."""

    factors: Tensor

    def __init__(self, factors: Tensor) -> None:
        super().__init__()
        factors = _one_if_same(factors)
        self.factor = float(factors) if factors.ndim == 0 else None
        self.register_buffer("factors", factors)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x * (self.factors if self.factor is None else self.factor)


def _max_pool(graph: Any, name: str, sources: dict[str, list[str]]) -> nn.Module:
    """Sums of spikes, and whether they are above 0: their maximum. Only that is known."""
    before = sources[name]
    threshold = np.asarray(graph.nodes[name].threshold)
    spikes = {type(graph.nodes[s]).__name__ for b in before for s in sources[b]}
    pools = [graph.nodes[b] for b in before]
    summed = [type(pool).__name__ for pool in pools] == ["SumPool2d"]
    if not summed or not ((threshold >= 0) & (threshold < 1)).all() or not spikes <= _SPIKING:
        raise NIRError(
            f"node {name}: a Threshold has a form here after a SumPool2d of spikes alone"
        )
    return _pool(pools[0], name, nn.MaxPool2d)


def _is_maximum(graph: Any, name: str, sources: dict[str, list[str]]) -> bool:
    """Whether what a SumPool2d gives goes to a Threshold, which then is the pooling."""
    targets = [t for t, given in sources.items() if name in given]
    return bool(targets) and {type(graph.nodes[t]).__name__ for t in targets} == {"Threshold"}


_SPIKING = {"LIF", "IF", "CubaLIF"}
_LAYERS: dict[str, Callable[[Any, str, float], nn.Module]] = {
    "Input": lambda node, name, dt: nn.Identity(),
    "Output": lambda node, name, dt: nn.Identity(),
    "Linear": _linear,
    "Affine": _linear,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "SumPool2d": lambda node, name, dt: _pool(node, name, SumPool),
    "AvgPool2d": lambda node, name, dt: _pool(node, name, nn.AvgPool2d),
    "Flatten": _flatten,
    "Scale": lambda node, name, dt: Scaling(_numbers(node.scale)),
    "LIF": _lif,
    "IF": _if,
    "CubaLIF": _cuba,
    "LI": _li,
}
