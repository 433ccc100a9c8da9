"""A network of anyone's own as a NIR graph: it is run once, and what it does is written down.

Its input is a tensor that knows which signal it is. It has no values that could be looked at: a
function of torch either has a form in NIR, or says the shape alone, or is refused by its name. So
loops and conditions over shapes are followed, and what depends on values is refused.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from tempreg.errors import one_line
from tempreg.export import nir_layers
from tempreg.export.errors import ExportError
from tempreg.export.nir_layers import Flow
from tempreg.export.nir_neurons import gain, refuse_unsayable
from tempreg.export.nir_nodes import Builder, Signal, needs_nir
from tempreg.export.program import Scaling
from tempreg.foreign import library_of
from tempreg.neurons import Layer, Neuron, StepNeuron

if TYPE_CHECKING:
    import nir

_SAME = {Tensor.contiguous, Tensor.clone, Tensor.detach, Tensor.float, nn.functional.dropout}
_SHAPED = {
    torch.flatten, Tensor.flatten, torch.unflatten, Tensor.unflatten, torch.reshape,
    Tensor.reshape, Tensor.view, torch.squeeze, Tensor.squeeze, torch.unsqueeze, Tensor.unsqueeze,
}  # fmt: skip
_ABOUT = {Tensor.size, Tensor.dim, Tensor.numel, Tensor.is_floating_point, Tensor.__len__}
_MEANS, _SUMS = {torch.mean, Tensor.mean}, {torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__}
_TIMES = {torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__}
_PARTS = {torch.div, Tensor.div, Tensor.__truediv__}


def traced_graph(
    model: nn.Module, *, input_shape: tuple[int, ...], scaling: Scaling | None = None
) -> nir.NIRGraph:
    """A network whose layers are known as a NIR graph, whose output is that of every timestep.

    Args:
        model: takes [T, B, *input_shape] and gives [T, B, C]; of torch's convolutions, linear
            layers, batch norms, average pooling, max pooling of spikes, flattening, means over
            height and width, sums, and tempreg's LIF, IF, PLIF, CubaLIF and ThresholdLIF.
        input_shape: of one sample at one timestep.
        scaling: where inputs are pixels, what they are multiplied by, and what is added.

    Raises:
        PackageMissing: the package nir isn't installed.
        ExportError: something else, which is named; or neurons that NIR can't say.
    """
    needs_nir()
    refuse_unsayable(model)
    for name, module in model.named_modules():
        if (library := library_of(module)) is not None:
            raise ExportError(
                f"{name or 'the network'} is a layer of {library}, whose form in NIR that library "
                "knows: export the network by it, or to onnx or torch"
            )
    steps = getattr(model, "num_steps", None)
    trace = _Trace(Builder(input_shape), steps or 2)
    return trace.run(copy.deepcopy(model).cpu().float().eval(), steps, scaling)


@final
class _Trace:
    """The graph so far, and which layer is running."""

    def __init__(self, graph: Builder, steps: int) -> None:
        self.graph, self.steps = graph, steps
        self.batch = 3 if steps != 3 else 2  # another number, so that [B, T] is noticed
        self.layers: list[tuple[str, nn.Module]] = []

    def run(self, model: nn.Module, steps: int | None, scaling: Scaling | None) -> nir.NIRGraph:
        """The graph of a copy of the network, which is changed."""
        begun = self.graph.input
        if scaling is not None:
            begun = self.graph.standardised("standardise", begun, scaling)
        holder = nn.ModuleDict({"layer": model})
        for parent in list(holder.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, (Neuron, StepNeuron)):
                    setattr(parent, name, _Written(child, self))
        values = torch.zeros(self.steps, self.batch, *begun.shape)
        with torch.no_grad(), self.watched(holder["layer"]):
            made = holder["layer"](tracked(values, Flow(begun, False), self))
        if not isinstance(made, Tracked) or made.flow.folded:
            raise ExportError("the network's output isn't logits [T, B, classes] of its input")
        return self.graph.finished(nir_layers.signal(self.graph, made.flow), steps)

    @contextmanager
    def watched(self, model: nn.Module) -> Iterator[None]:
        """While this lasts, `layers` has the modules that are running, the innermost last."""
        handles = []
        for name, module in model.named_modules():
            called = (name, module)
            handles += [
                module.register_forward_pre_hook(lambda *_, c=called: self.layers.append(c)),
                module.register_forward_hook(lambda *_: self.layers.pop() and None),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def name(self, kind: str) -> str:
        """For a node that stands for what is running; `kind` where no layer of torch's is."""
        where, module = self.layers[-1] if self.layers else ("", None)
        words = where.replace(".", "_")
        if module is not None and not _is_layer(module):
            words = f"{words}_{kind}" if words else kind
        return f"layer_{words}" if words[:1].isdigit() or not words else words

    def refused(self, function: Callable[..., Any]) -> ExportError:
        """What is said of a function that isn't known."""
        where, module = self.layers[-1] if self.layers else ("", None)
        called = f"torch's {getattr(function, '__name__', function)}"
        if module is not None and _is_layer(module):
            called = type(module).__name__
        place = f" (in {where})" if where else ""
        return ExportError(
            f"{called}{place} has no form in NIR that is known here: convolutions, linear layers, "
            "batch norms, average pooling, max pooling of spikes, flattening, sums and tempreg's "
            "neurons have one; export to onnx or torch"
        )


def _is_layer(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn.") or isinstance(module, _Written)


@final
class Tracked(Tensor):
    """A tensor that stands for a signal of the graph; `tracked` makes one."""

    flow: Flow
    writer: _Trace

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """What the function makes, with what it means."""
        kwargs = kwargs or {}
        known = next(a for a in (*args, *kwargs.values()) if isinstance(a, cls))
        try:
            with torch._C.DisableTorchFunctionSubclass():
                made = func(*args, **kwargs)
        except RuntimeError as error:
            where = known.writer.name(getattr(func, "__name__", "function"))
            raise ExportError(f"{where} can't take what it gets: {one_line(str(error))}") from None
        if not isinstance(made, Tensor) and (
            func in _ABOUT or getattr(func, "__name__", "") == "__get__"
        ):
            return made
        flow = _meaning(known.writer, func, made, args, kwargs)
        if flow is None:
            raise known.writer.refused(func)
        return tracked(made, flow, known.writer)


def tracked(values: Tensor, flow: Flow, trace: _Trace) -> Tracked:
    """The tensor as one that stands for a signal; its values mean nothing."""
    made = values.detach().as_subclass(Tracked)
    made.flow, made.writer = flow, trace
    return made


def _meaning(
    trace: _Trace, func: Callable[..., Any], made: Any, args: Any, kwargs: dict[str, Any]
) -> Flow | None:
    """What `made` stands for; None where the function isn't known with these arguments."""
    x, *rest = args or (kwargs.pop("input", None),)
    if func in (*_SUMS, *_TIMES, *_PARTS) and len(rest) == 1 and not kwargs:
        return _arithmetic(trace, func, x, rest[0])
    if not isinstance(x, Tracked) or any(isinstance(a, Tracked) for a in (*rest, *kwargs.values())):
        return None
    if func in _SAME:
        return x.flow if made.dtype == x.dtype else None
    if func in _SHAPED:
        return _shaped(trace, x.flow, made)
    if func in _MEANS:
        return _mean(trace, x, *rest, **kwargs)
    if func in nir_layers.KNOWN:
        name = trace.name(func.__name__)
        plain = [a.detach() if isinstance(a, Tensor) else a for a in rest]
        return nir_layers.KNOWN[func](trace.graph, name, x.flow, *plain, **kwargs)
    return None


def _arithmetic(trace: _Trace, func: Callable[..., Any], x: Any, other: Any) -> Flow | None:
    if func in _SUMS:
        if isinstance(x, Tracked) and isinstance(other, Tracked):
            return nir_layers.add(trace.graph, trace.name("sum"), x.flow, other.flow)
        return None
    if not isinstance(x, Tracked) or not isinstance(other, (int, float)) or not other:
        return None
    factor = other if func in _TIMES else 1 / other
    of = x.flow.of
    scaled = replace(of, factor=of.factor * factor) if isinstance(of, Signal) else of.times(factor)
    return Flow(scaled, x.flow.folded)


def _mean(
    trace: _Trace, x: Tracked, dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Flow | None:
    dims = (dim,) if isinstance(dim, int) else tuple(dim or ())
    last = {x.dim() - 2, x.dim() - 1}
    wide = len(_sample(x.flow)) == 3
    if not wide or {d % x.dim() for d in dims} != last or dtype is not None:
        return None
    return nir_layers.mean(trace.graph, trace.name("mean"), x.flow, keepdim=keepdim)


def _shaped(trace: _Trace, flow: Flow, made: Tensor) -> Flow | None:
    """Another shape of the same values: T and B together or apart, samples as they are or flat."""
    sample, steps, batch = _sample(flow), trace.steps, trace.batch
    leads = ((True, (steps * batch,)), (False, (steps, batch)))
    for folded, lead in leads:
        if tuple(made.shape[: len(lead)]) != lead:
            continue
        rest = tuple(made.shape[len(lead) :])
        if rest == sample:
            return replace(flow, folded=folded)
        if rest == (math.prod(sample),):
            return replace(nir_layers.flat(trace.graph, trace.name("flat"), flow), folded=folded)
    return None


def _sample(flow: Flow) -> tuple[int, ...]:
    """The shape of one sample at one timestep."""
    return flow.of.shape


@final
class _Written(nn.Module):
    """A layer of neurons that becomes a node when it is called."""

    def __init__(self, neuron: Layer, trace: _Trace) -> None:
        super().__init__()
        self.neuron, self.trace = neuron, trace

    def initial_state(self, x: Tensor) -> Tensor:
        """Refused, see `stepped`."""
        raise self.stepped()

    def stepped(self) -> ExportError:
        """What is said of neurons that are called with a state."""
        return ExportError(
            f"{type(self.neuron).__name__} is called with its state, as timestep by timestep: NIR "
            "is written of neurons that are given all timesteps, [T, B, ...]"
        )

    @override
    def forward(self, x: Any, state: Any = None) -> Tensor:
        name, graph = self.trace.name("neuron"), self.trace.graph
        if state is not None or not isinstance(x, Tracked):
            raise self.stepped()
        if x.flow.folded:
            raise ExportError(f"{name}: neurons take [T, B, ...], and get T and B as one dimension")
        current = nir_layers.signal(graph, x.flow, gain(self.neuron))
        current = graph.scaled(f"{name}_gain", current, 1.0)
        made = graph.neuron(name, self.neuron, current.sources, current)
        return tracked(
            torch.zeros_like(x.detach().as_subclass(Tensor)), Flow(made, False, True), self.trace
        )
