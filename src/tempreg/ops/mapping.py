"""What autograd functions share beside their mathematics: functorch, and a quick call."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

import torch
from torch import Tensor

Function = TypeVar("Function", bound=type[torch.autograd.Function])


def signed(function: Function) -> Function:
    """A decorator that finds the signature of `forward` once.

    `apply` binds its arguments to that signature; finding it in each call took longer than LIF
    over ten thousand neurons.
    """
    function.forward.__signature__ = inspect.signature(function.forward)  # type: ignore[attr-defined]
    return function


class FirstGradient(torch.autograd.Function):
    """A gradient that refuses to be differentiated. Subclass it with `forward` and `vmap`."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keeps nothing."""

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """RuntimeError."""
        raise RuntimeError(
            "this LIF backend can be differentiated once; for second derivatives choose "
            "backend='reference'"
        )


def transformed() -> bool:
    """Whether a transform of functorch (vmap, grad, jvp, ...) is at work on this call."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def one_by_one(
    function: type[torch.autograd.Function], info: Any, dims: tuple[Any, ...], args: tuple[Any, ...]
) -> tuple[Any, Any]:
    """Each slice of the mapped arguments on its own; the results stacked along dimension 0."""
    results = [
        function.apply(
            *(
                a.select(dim, index) if isinstance(a, Tensor) and dim is not None else a
                for a, dim in zip(args, dims, strict=True)
            )
        )
        for index in range(info.batch_size)
    ]
    if isinstance(results[0], Tensor):
        return torch.stack(results), 0
    return tuple(map(torch.stack, zip(*results, strict=True))), (0,) * len(results[0])
