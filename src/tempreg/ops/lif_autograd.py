"""One autograd function for every backend that has a forward and a closed-form backward.

The backward pass is itself a function, so that functorch can map it over a batch and so
that differentiating it again says what to do instead of failing somewhere inside.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, final

import torch
from torch import Tensor

from tempreg.ops.layout import zeros
from tempreg.ops.mapping import FirstGradient, signed, transformed
from tempreg.ops.spec import LIFSpec


def _fold_batch(batch: int, dim: int | None, tensor: Any, at: int) -> Any:
    """The mapped dimension (or an expanded new one) as a further neuron dimension at `at`."""
    if tensor is None:
        return None
    if dim is None:
        return tensor.unsqueeze(at).expand(*tensor.shape[:at], batch, *tensor.shape[at:])
    return tensor.movedim(dim, at)


def _refuse_mapped_tau(dim: int | None) -> None:
    if dim is not None:
        raise ValueError(
            "vmap over tau is supported by backend='reference' only; the other backends take one "
            "tau a layer"
        )


@final
@signed
class LIFFunction(torch.autograd.Function):
    """(x, v0, tau, spec, backend, last, keep) -> (spikes, [last state], [kept]); once
    differentiable.

    The last state is given where it is wanted (`last`), and what is kept for the backward pass
    where that may be asked for (`keep`), by a backend that KEEPS. One that is PLAIN takes None
    for a v0 of zeros and a number for tau.
    """

    @staticmethod
    def forward(
        x: Tensor,
        v0: Tensor | None,
        tau: Tensor | float,
        spec: LIFSpec,
        backend: ModuleType,
        last: bool,
        keep: bool,
    ) -> tuple[Tensor, ...]:
        wanted = {} if last else {"last": False}
        if keep:
            wanted["keep"] = True
        spikes, state, *kept = backend.forward(x, v0, tau, spec, **wanted)
        return (spikes, state, *kept) if last else (spikes, *kept)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, v0, tau, ctx.spec, ctx.backend, ctx.last, _ = inputs
        ctx.set_materialize_grads(False)  # the last state is seldom used: no zeros for it
        ctx.tau = None if isinstance(tau, Tensor) else tau
        kept = output[1 + ctx.last] if len(output) > 1 + ctx.last else None
        if kept is not None:
            ctx.mark_non_differentiable(kept)
        ctx.save_for_backward(x, v0, tau if isinstance(tau, Tensor) else None, kept)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:
        x, v0, tau, kept = ctx.saved_tensors
        tau = ctx.tau if tau is None else tau
        gs, gv = grad_outputs[0], grad_outputs[1] if ctx.last else None
        if gs is None and gv is None:
            return (None,) * 7
        gs = zeros(x) if gs is None else gs
        if gv is None and not getattr(ctx.backend, "PLAIN", False):
            gv = zeros(v0)
        _, of_v0, of_tau, *_ = ctx.needs_input_grad
        seen = torch.is_grad_enabled() or transformed()
        gradient = LIFBackward.apply if seen else LIFBackward.forward
        gx, *rest = gradient(gs, gv, x, v0, tau, ctx.spec, ctx.backend, of_v0 or of_tau, kept)
        gv0 = rest[0] if of_v0 else None
        gtau = rest[1].sum() if of_tau else None
        return gx, gv0, gtau, None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        x, v0, tau, spec, backend, last, _ = args  # states of a batch aren't kept
        _refuse_mapped_tau(in_dims[2])
        x = _fold_batch(info.batch_size, in_dims[0], x, 1)
        v0 = _fold_batch(info.batch_size, in_dims[1], v0, 0)
        made = LIFFunction.apply(x, v0, tau, spec, backend, last, False)
        return made, (1, 0)[: len(made)]


@final
@signed
class LIFBackward(FirstGradient):
    """The gradient of `LIFFunction`; refuses to be differentiated."""

    @staticmethod
    def forward(
        gs: Tensor,
        gv: Tensor | None,
        x: Tensor,
        v0: Tensor | None,
        tau: Tensor | float,
        spec: LIFSpec,
        backend: ModuleType,
        rest: bool,
        kept: Tensor | None,
    ) -> tuple[Tensor, ...]:
        more = {} if kept is None else {"kept": kept}
        gradients: tuple[Tensor, ...] = backend.backward(gs, gv, x, v0, tau, spec, rest, **more)
        return gradients

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        gs, gv, x, v0, tau, spec, backend, rest, _ = args  # states of a batch aren't kept
        _refuse_mapped_tau(in_dims[4])
        places = (1, 0, 1, 0)
        folded = [
            _fold_batch(info.batch_size, dim, tensor, at)
            for dim, tensor, at in zip(in_dims[:4], (gs, gv, x, v0), places, strict=True)
        ]
        gradients = LIFBackward.apply(*folded, tau, spec, backend, rest, None)
        return gradients, (1, 0, 0)[: len(gradients)]
