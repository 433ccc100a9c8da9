"""What every product in a network multiplies: of weight layers, and of everything else.

One pass in which weight layers are watched by hooks, and every other product of two tensors, such
as attention scores, as torch computes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from tempreg.analysis.operations import operations
from tempreg.audit.subject import Subject
from tempreg.audit.trace import tensors

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_PRODUCTS = {
    torch.matmul,
    torch.mm,
    torch.bmm,
    torch.mv,
    torch.einsum,
    torch.baddbmm,
    torch.addmm,
    Tensor.matmul,
    Tensor.mm,
    Tensor.bmm,
    Tensor.__matmul__,
    Tensor.__rmatmul__,
    functional.linear,
    functional.conv1d,
    functional.conv2d,
    functional.conv3d,
    functional.scaled_dot_product_attention,
}
KINDS = ("binary", "graded", "real")
"""0 and 1; other whole numbers; anything else."""


def kind_of(x: Tensor) -> str:
    """One of `KINDS`."""
    if bool(((x == 0) | (x == 1)).all()):
        return "binary"
    return "graded" if bool((x == x.round()).all()) else "real"


def worst(kinds: list[str]) -> str:
    """The kind of all together."""
    return max(kinds, key=KINDS.index)


@final
@dataclass
class Synapses:
    """A weight layer over a pass.

    Attributes:
        module: the layer.
        kinds: of its inputs, by call.
        done: operations where an input isn't 0, `dense` where none were 0.
        spikes, entries: inputs that aren't 0, and all.
        outputs: entries of its outputs, over all calls.
    """

    module: nn.Module
    kinds: list[str]
    done: float = 0.0
    dense: float = 0.0
    spikes: int = 0
    entries: int = 0
    outputs: int = 0


@final
@dataclass(frozen=True)
class Product:
    """A product outside weight layers: in which module, of what kinds, and its multiplications."""

    module: str
    kinds: tuple[str, str]
    count: int


def observe(subject: Subject) -> tuple[dict[str, Synapses], list[Product]]:
    """Weight layers by name in the order of their calls, and all other products."""
    model = subject.fresh()
    layers: dict[str, Synapses] = {}
    stack: list[tuple[str, nn.Module]] = []

    def enter(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any) -> None:
            stack.append((name, module))

        return hook

    def leave(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(module, WEIGHTED) and args and isinstance(args[0], Tensor):
                _add(layers.setdefault(name, Synapses(module, [])), args[0], output)
            stack.pop()

        return hook

    for name, module in model.named_modules():
        module.register_forward_pre_hook(enter(name))
        module.register_forward_hook(leave(name))
    mode = _Products(stack)
    with mode:
        subject.output(subject.inputs, model)
    return layers, mode.found


def _add(layer: Synapses, x: Tensor, output: Any) -> None:
    layer.kinds.append(kind_of(x))
    layer.spikes += int(x.count_nonzero())
    layer.entries += x.numel()
    layer.outputs += sum(t.numel() for t in tensors(output))
    inputs = x
    if not isinstance(layer.module, nn.Linear):
        spatial = len(layer.module.kernel_size)  # type: ignore[arg-type]
        if x.ndim == spatial + 1:
            inputs = x.unsqueeze(0)
        elif x.ndim > spatial + 2:  # SpikingJelly's, which take [T, B, C, ...]
            inputs = x.flatten(0, x.ndim - spatial - 2)
        if getattr(layer.module, "padding_mode", "zeros") != "zeros":
            return
    elif x.ndim == 1:
        inputs = x.unsqueeze(0)
    layer.done += float(operations(layer.module, inputs).sum())
    layer.dense += len(inputs) * float(operations(layer.module, torch.ones_like(inputs[:1])).sum())


@final
class _Products(TorchFunctionMode):
    """Notes products of two tensors that no weight layer makes."""

    def __init__(self, stack: list[tuple[str, nn.Module]]) -> None:
        super().__init__()
        self.stack = stack
        self.found: list[Product] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """torch's own result; see `TorchFunctionMode`."""
        out = func(*args, **(kwargs or {}))
        name, module = self.stack[-1] if self.stack else ("", None)
        if func in _PRODUCTS and not isinstance(module, WEIGHTED):
            given = [t for t in tensors([args, kwargs or {}]) if t.is_floating_point()]
            made = tensors(out)
            if len(given) >= 2 and made:
                a, b = given[-2:] if func in (torch.baddbmm, torch.addmm) else given[:2]
                size = made[0].numel() * int(a.shape[-1])
                self.found.append(Product(name, (kind_of(a), kind_of(b)), size))
        return out
