"""What analyses see of a network: its neurons, and what went into and came out of modules.

Shapes: inputs are [B, F] or [B, C, H, W], shown at every timestep, or [T, B, F] or
[T, B, C, H, W]; logits [T, B, C]; a neuron layer's currents and spikes [T, B, *N]. Every
function runs the model in eval mode and leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from tempreg.foreign import is_spiking
from tempreg.objectives.labels import check_classes
from tempreg.unwrap import unwrap

IsNeuron = Callable[[str, nn.Module], bool]
"""Of a module's name and the module: whether it is a layer of spiking neurons."""


def check_data(inputs: Any, targets: Any, *, numbers: bool = False) -> None:
    """ValueError unless inputs, all finite, and class indices [B] are tensors of as many samples;
    or, where `numbers` will do, targets of a regression [B, D].

    A loader is refused: one that shuffles, augments or drops a rest gives other samples at each
    pass, and an analysis that passes over its data several times would mix them.
    """
    for name, value in (("inputs", inputs), ("targets", targets)):
        if not isinstance(value, Tensor):
            raise ValueError(
                f"an analysis takes tensors, but {name} is a {type(value).__name__}: a loader or "
                "iterator may shuffle or augment, so that passes over the data would see different "
                "samples and the numbers would not repeat; pass a fixed batch, without augmentation"
            )
    regression = numbers and targets.ndim == 2 and targets.is_floating_point()
    if not regression and (targets.ndim != 1 or targets.is_floating_point()):
        raise ValueError(
            f"targets must be class indices [B] of an integer dtype, got {[*targets.shape]} "
            f"of {targets.dtype}"
        )
    if inputs.shape[batch_dim(inputs)] != len(targets) or not len(targets):
        raise ValueError(
            f"inputs of shape {[*inputs.shape]} hold {inputs.shape[batch_dim(inputs)]} samples, "
            f"targets {len(targets)}: they must hold equally many, at least one"
        )
    check_finite(inputs)


def check_finite(inputs: Tensor) -> None:
    """ValueError where inputs hold NaN or infinity; it names the first one's place."""
    if not (finite := torch.isfinite(inputs)).all():
        place = (~finite).nonzero()[0].tolist()
        raise ValueError(
            f"inputs{place} is {inputs[tuple(place)].item()}: an analysis needs finite inputs; "
            "mend the data or leave that sample out"
        )


def batch_dim(inputs: Tensor) -> int:
    """Where a batch has its samples: 0 in [B, F] and [B, C, H, W], else 1, after time."""
    if not 2 <= inputs.ndim <= 5:
        raise ValueError(
            f"inputs must be [B, F], [B, C, H, W], [T, B, F] or [T, B, C, H, W], "
            f"got shape {[*inputs.shape]}"
        )
    return inputs.ndim % 2


def chunks(inputs: Tensor, targets: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets of at most `size` samples at a time, in order."""
    if size < 1:
        raise ValueError(f"the chunk must be >= 1 samples, got {size}")
    yield from zip(inputs.split(size, batch_dim(inputs)), targets.split(size), strict=True)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside, and nothing computed again in backward passes, so that hooks see a layer
    once; afterwards every module as it was."""
    modes = {module: module.training for module in model.modules()}
    again = [module for module in modes if getattr(module, "recomputes", False)]
    model.eval()
    try:
        for module in again:
            module.__dict__["recomputes"] = False
        yield
    finally:
        for module in again:
            module.__dict__["recomputes"] = True
        for module, mode in modes.items():
            module.training = mode


def find_neurons(model: nn.Module, is_neuron: IsNeuron | None = None) -> dict[str, nn.Module]:
    """Layers of neurons by module path, in the model's order; ValueError where there are none.

    They are `tempreg.Neuron` modules and those of the libraries in `tempreg.foreign`, or those of
    which `is_neuron(name, module)` is true.
    """
    chosen = is_neuron or (lambda _, module: is_spiking(module))
    found = {name: m for name, m in unwrap(model).named_modules() if chosen(name, m)}
    if not found:
        raise ValueError(
            f"{type(unwrap(model)).__name__} has no layer of neurons that is known here: pass "
            "is_neuron=, a function (name, module) -> bool that says which modules they are"
        )
    return found


class Inside(Protocol):
    """How a model has time and batch inside, where it isn't time first; its attribute `inside`."""

    def to_time_first(self, x: Tensor) -> Tensor:
        """A layer's input or output with time first, as [T, B, ...] or [T * B, ...]."""

    def from_time_first(self, x: Tensor, like: Tensor) -> Tensor:
        """The way back, to the layout of `like`, which is what `to_time_first` was given."""


@final
@dataclass(frozen=True)
class Call:
    """One call of a module: its arguments and the tensor it returned, with time first."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor


@contextmanager
def recording(
    model: nn.Module, modules: dict[str, nn.Module], *, split_input: bool = False
) -> Iterator[dict[str, list[Call]]]:
    """The calls of these modules of the model inside, by name, in order, attached to the graph.

    A module that returns a tuple, as neurons with a state do, is recorded with its first part.
    With `split_input` each first argument becomes a node of its own in the graph, so that its
    gradient is what comes through this module alone, whoever else reads the same tensor. In a
    model that isn't time first inside (see `Inside`), what is recorded is.
    """
    inside: Inside | None = getattr(unwrap(model), "inside", None)
    calls: dict[str, list[Call]] = {name: [] for name in modules}
    given: dict[nn.Module, Tensor] = {}

    def separate(module: nn.Module, args: Any, kwargs: Any) -> Any:
        if not args or not isinstance(args[0], Tensor):
            return None
        first = args[0] if inside is None else inside.to_time_first(args[0])
        own = first.view_as(first) if first.requires_grad else first.detach().requires_grad_()
        given[module] = own
        back = own if inside is None else inside.from_time_first(own, args[0])
        return (back, *args[1:]), kwargs

    def note(name: str) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            several = isinstance(output, (tuple, list))
            first = output[0] if several else output
            if inside is None or not args:
                calls[name].append(Call(args, kwargs, first))
                return None
            own = given.pop(module) if split_input else inside.to_time_first(args[0])
            made = inside.to_time_first(first)
            calls[name].append(Call((own, *args[1:]), kwargs, made))
            returned = inside.from_time_first(made, first)
            return (returned, *output[1:]) if several else returned

        return hook

    handles = []
    try:
        for name, module in modules.items():
            if split_input:
                handles.append(module.register_forward_pre_hook(separate, with_kwargs=True))
            handles.append(module.register_forward_hook(note(name), with_kwargs=True))
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def logits_of(model: nn.Module, inputs: Tensor, targets: Tensor | None = None) -> Tensor:
    """The logits [T, B, C]; ValueError where the model returns something else.

    Where class indices are given, ValueError too where one of them is no class of the model.
    """
    outputs: Any = unwrap(model)(inputs)
    if (
        not isinstance(outputs, Tensor)
        or outputs.ndim != 3
        or outputs.shape[1] != inputs.shape[batch_dim(inputs)]
    ):
        shape = [*outputs.shape] if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(
            f"an analysis needs a model that returns logits [T, B, classes], but for inputs of "
            f"shape {[*inputs.shape]} this one returns {shape}"
        )
    logits: Tensor = outputs
    if targets is not None:
        check_classes(targets, logits.shape[2])
    return logits


def over_time(name: str, tensors: list[Tensor], steps: int, batch: int) -> Tensor:
    """[T, B, *N] of a neuron layer's inputs or outputs, from one call or one a timestep."""
    if len(tensors) == 1 and tensors[0].shape[:2] == (steps, batch):
        return tensors[0]
    if len(tensors) == 1 and tensors[0].shape[:1] == (steps * batch,):
        return tensors[0].reshape(steps, batch, *tensors[0].shape[1:])
    if len(tensors) == steps and all(t.shape[:1] == (batch,) for t in tensors):
        return torch.stack(tensors)
    if len(tensors) == steps and all(t.shape[:2] == (1, batch) for t in tensors):
        return torch.cat(tensors)
    shapes = sorted({tuple(t.shape) for t in tensors})
    raise ValueError(
        f"the neurons {name!r} were called {len(tensors)} times with shapes {shapes}: expected "
        f"one call with [T, B, ...] or [T * B, ...], or one a timestep with [B, ...] "
        f"(T={steps}, B={batch})"
    )


@final
@dataclass(frozen=True)
class Recording:
    """A forward pass: logits [T, B, C], and by neuron layer currents and spikes [T, B, *N].

    Currents are what the layer is given (x[t]), spikes what it returns.
    """

    logits: Tensor
    currents: dict[str, Tensor]
    spikes: dict[str, Tensor]


@torch.no_grad()
def record(model: nn.Module, inputs: Tensor, is_neuron: IsNeuron | None = None) -> Recording:
    """One forward pass in eval mode; everything of it is in memory at once, so pass a chunk."""
    neurons = find_neurons(model, is_neuron)
    with evaluating(model), recording(model, neurons) as calls:
        logits = logits_of(model, inputs)
    steps, batch = logits.shape[:2]
    used = {name: made for name, made in calls.items() if made}
    return Recording(
        logits,
        {n: over_time(n, [c.args[0] for c in made], steps, batch) for n, made in used.items()},
        {n: over_time(n, [c.output for c in made], steps, batch) for n, made in used.items()},
    )
