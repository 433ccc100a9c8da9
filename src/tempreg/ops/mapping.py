"""What autograd functions share beside their mathematics: functorch, and a quick call.

A function that functorch can map has its arguments bound to a signature in every call, and an
operator of torch.library finds its code through several tables: for a layer of a few thousand
neurons each takes longer than the arithmetic. Where nobody but autograd looks on, both are left
out, see `call` and `alone`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
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


def alone(*tensors: Tensor | None) -> bool:
    """Whether nothing but autograd looks on: neither a transform nor a compiler, a tracer or a
    mode that sees torch's operators one by one, nor a subclass that a tensor is of."""
    return not (
        torch.compiler.is_compiling()
        or transformed()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
        or any(t is not None and not _is_plain(t) for t in tensors)
    )


def _is_plain(x: Tensor) -> bool:
    """Whether x has its numbers in memory, unlike what `is_grads_batched` of autograd makes, and
    what outlived the transform that made it."""
    functorch = torch._C._functorch
    wrapped = functorch.is_legacy_batchedtensor(x) or functorch.is_functorch_wrapped_tensor(x)
    return type(x) in (Tensor, torch.nn.Parameter) and not wrapped


def call(function: type[torch.autograd.Function], x: Tensor, *others: Any) -> Any:
    """`function.apply`, quicker where x is `alone`, and without autograd where it is off."""
    if not alone(x):
        return function.apply(x, *others)
    if not torch.is_grad_enabled():
        return function.forward(x, *others)
    return _quick(function)(x, *others)


def direct(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    """`function.apply` for tensors that are `alone`: without its questions about transforms."""
    apply: Callable[..., Any] = super(torch.autograd.Function, function).apply  # type: ignore[misc]
    return apply


@functools.cache
def _quick(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    """`apply` of the same function as functorch can't map it, which binds no arguments."""

    def forward(ctx: Any, *inputs: Any) -> Any:
        output = function.forward(*inputs)
        function.setup_context(ctx, inputs, output)
        return output

    methods = {"forward": staticmethod(forward), "backward": staticmethod(function.backward)}
    return direct(type(function.__name__, (torch.autograd.Function,), methods))


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
