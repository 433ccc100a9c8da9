"""States that outlive a forward pass, which would leak one batch into the next."""

from __future__ import annotations

import re
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


def refuse_kept_states(model: nn.Module, batch: int) -> None:
    """ValueError where a module of the user's keeps a state of this pass as an attribute.

    That is a tensor [B, ...] of the graph, which would go into the next batch. Layers of the
    library itself are passed over, and so are tensors that are computed from parameters anew at
    each pass, as by weight norm and pruning.
    """
    for path, module in model.named_modules():
        if library_of(module):
            continue
        computed = {re.sub("_(orig|g|v)$", "", n) for n, _ in module.named_parameters()}
        for name, value in {**vars(module), **dict(module.named_buffers(recurse=False))}.items():
            if name not in computed and _is_state(value, batch):
                where = f"{path}.{name}" if path else name
                raise ValueError(
                    f"{type(module).__name__} keeps {where!r} after the forward pass, so that one "
                    "batch's state would go into the next: hold it in a local variable that starts "
                    "anew in forward(), or detach it if it is only a record"
                )


def _is_state(value: Any, batch: int) -> bool:
    if isinstance(value, Tensor):
        return value.grad_fn is not None and value.shape[:1] == (batch,)
    return isinstance(value, (tuple, list)) and any(_is_state(item, batch) for item in value)
