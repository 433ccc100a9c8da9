"""Neurons with a second state through the C kernel in kernels/step.c; their loop is the meaning.

`StepNeuron` steps any equation under autograd. For those that the C source has in its macros, one
pass of this computes the same spikes, and the gradient of the input and of the first states; h is
computed again in the backward pass, so that the input is all that is kept between the two.
"""

from __future__ import annotations

from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from tempreg.ops import cbuild
from tempreg.ops.ckernel import ELEMENTS, kernel, room_for, threads_for
from tempreg.ops.mapping import FirstGradient, signed, transformed
from tempreg.ops.spec import LIFSpec

EQUATIONS = ("alif", "cuba")
"""In the order of their numbers in C."""
PARALLEL_FROM = 32_768


@final
class Equation(NamedTuple):
    """One that the kernel has: its name, tau, and its constants a and j (see kernels/step.c)."""

    name: str
    tau: float
    a: float
    j: float


def runs_here(x: Tensor) -> bool:
    """Whether the kernel can stand for the loop: plain tensors on a CPU, and a C compiler."""
    return (
        x.device.type == "cpu"
        and type(x) in (Tensor, torch.nn.Parameter)
        and x.dtype in ELEMENTS
        and not torch.compiler.is_compiling()
        and not transformed()
        and cbuild.loads("step")
    )


@final
@signed
class StepFunction(torch.autograd.Function):
    """(x, v, c, equation, spec) -> (spikes, v, c); once differentiable."""

    @staticmethod
    def forward(
        x: Tensor, v: Tensor, c: Tensor, equation: Equation, spec: LIFSpec
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Spikes [T, *N] and the last states [*N]."""
        x = x.contiguous()
        v, c = (each.clone(memory_format=torch.contiguous_format) for each in (v, c))
        spikes = torch.empty_like(x)
        run = kernel("step", "step_forward", x.dtype)
        run(
            x,
            spikes,
            v,
            c,
            *_shape(x),
            *_constants(equation, spec),
            *_kind(equation, spec),
            *_at(x),
        )
        return spikes, v, c

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keeps the input and the first states."""
        x, v, c, ctx.equation, ctx.spec = inputs
        ctx.save_for_backward(x, v, c)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:
        """The gradients of x, v and c."""
        seen = torch.is_grad_enabled()
        gradient: Any = StepBackward.apply if seen else StepBackward.forward
        found = gradient(*grad_outputs, *ctx.saved_tensors, ctx.equation, ctx.spec)
        return (*found, None, None)


@final
@signed
class StepBackward(FirstGradient):
    """The gradient of `StepFunction`; refuses to be differentiated."""

    @staticmethod
    def forward(
        gs: Tensor,
        gv: Tensor,
        gc: Tensor,
        x: Tensor,
        v: Tensor,
        c: Tensor,
        equation: Equation,
        spec: LIFSpec,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of x [T, *N], v and c [*N]."""
        gs, x = gs.contiguous(), x.contiguous()
        gv, gc, v, c = (g.clone(memory_format=torch.contiguous_format) for g in (gv, gc, v, c))
        gx, (threads,) = torch.empty_like(x), _at(x)
        steps, neurons = _shape(x)
        room, block = room_for(x, steps, neurons, threads, cbuild.DEFINED["MOST_BLOCK"])
        given = (gs, gv, gc, x, v, c, room, torch.empty_like(room), block, gx, steps, neurons)
        _, _, surrogate, p, detach = spec.coded
        kinds = (*_kind(equation, spec), surrogate, detach)
        run = kernel("step", "step_backward", x.dtype)
        run(*given, *_constants(equation, spec), p, *kinds, threads)
        return gx, gv, gc


def _shape(x: Tensor) -> tuple[int, int]:
    return x.shape[0], x[0].numel()


def _constants(equation: Equation, spec: LIFSpec) -> tuple[float, ...]:
    return (*equation[1:], spec.v_threshold, spec.v_reset or 0.0)


def _kind(equation: Equation, spec: LIFSpec) -> tuple[int, bool]:
    return EQUATIONS.index(equation.name), spec.v_reset is None


def _at(x: Tensor) -> tuple[int]:
    return (threads_for(x.numel(), PARALLEL_FROM),)
