"""States that outlive a forward pass, which would leak one batch into the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from tempreg.foreign import library_of


def refuse_left_states(
    library: str,
    layers: dict[str, nn.Module],
    state: Callable[[nn.Module], dict[str, Tensor]],
) -> None:
    """ValueError where a layer of neurons is not at rest before a forward pass."""
    for name, module in layers.items():
        for key, value in state(module).items():
            if value.count_nonzero():
                raise ValueError(
                    f"{name!r} still has the state {key!r} {[*value.shape]} of another batch, from "
                    f"a call of the model outside this wrapper: call "
                    f"tempreg.interop.{library.lower()}.reset(model) after such calls, or make "
                    "them through the wrapper"
                )


def refuse_kept_graphs(model: nn.Module) -> None:
    """ValueError where a module of the user's keeps a tensor of this pass's graph, as an attribute.

    A state kept so would go into the next batch. Layers of the library itself are passed over.
    """
    for path, module in model.named_modules():
        if library_of(module):
            continue
        for name, value in {**vars(module), **dict(module.named_buffers(recurse=False))}.items():
            if _has_graph(value):
                where = f"{path}.{name}" if path else name
                raise ValueError(
                    f"{type(module).__name__} keeps {where!r} after the forward pass, so that one "
                    "batch's state would go into the next: hold it in a local variable that starts "
                    "anew in forward(), or detach it if it is only a record"
                )


def _has_graph(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.grad_fn is not None
    return isinstance(value, (tuple, list)) and any(_has_graph(item) for item in value)
