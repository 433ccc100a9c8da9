"""2x2 average pooling that keeps nothing for the backward pass, bit for bit as torch's.

torch's own keeps its input, although only its shape is needed. On a CPU with a C compiler
kernels/pool.c computes it, several times as fast; elsewhere torch does, and the gradient is
its quarter, copied to where it came from. Where channels are last in memory they stay so.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from tempreg.ops import cbuild
from tempreg.ops.ckernel import NARROW, kernel, threads_for
from tempreg.ops.layout import channels_last
from tempreg.ops.mapping import signed

_library = torch.library.Library("tempreg", "FRAGMENT")
_library.define("average_pool(Tensor x) -> Tensor")
_library.define("average_pool_backward(Tensor g, int height, int width) -> Tensor")


def average_pool_2x2(x: Tensor) -> Tensor:
    """Means of 2x2 windows of [N, C, H, W]; a last odd row or column is left out.

    Differentiable any number of times.
    """
    if min(x.shape[-2:]) < 2 or torch.compiler.is_compiling():  # which fuses torch's own
        return F.avg_pool2d(x, 2)
    pooled: Tensor = _AveragePool.apply(x)
    return pooled


@final
@signed
class _AveragePool(torch.autograd.Function):
    """[..., H, W] -> [..., H // 2, W // 2]."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        pooled: Tensor = torch.ops.tempreg.average_pool(x)
        return pooled

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.height, ctx.width = inputs[0].shape[-2:]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Tensor:
        gradient: Tensor = _AveragePoolBackward.apply(grad_outputs[0], ctx.height, ctx.width)
        return gradient

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        pooled: Tensor = _AveragePool.apply(tangents[0])  # it is linear
        return pooled

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], x: Tensor) -> tuple[Tensor, int]:
        return _AveragePool.apply(x.movedim(in_dims[0], 0)), 0


@final
@signed
class _AveragePoolBackward(torch.autograd.Function):
    """The gradient of `_AveragePool`, which is linear."""

    @staticmethod
    def forward(g: Tensor, height: int, width: int) -> Tensor:
        gradient: Tensor = torch.ops.tempreg.average_pool_backward(g, height, width)
        return gradient

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.height, ctx.width = inputs[1:]

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        gradient: Tensor = _AveragePoolBackward.apply(tangents[0], ctx.height, ctx.width)
        return gradient

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, None, None]:
        return _AveragePool.apply(grad_outputs[0]), None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], g: Tensor, height: int, width: int
    ) -> tuple[Tensor, int]:
        return _AveragePoolBackward.apply(g.movedim(in_dims[0], 0), height, width), 0


def _kernel_applies(x: Tensor) -> bool:
    """Whether the C kernel takes what lies on a CPU."""
    return x.dtype in NARROW and cbuild.loads("pool")


def _run(name: str, x: Tensor, out: Tensor, height: int, width: int) -> Tensor:
    """The kernel on all planes of [..., height, width], or on images with channels last."""
    threads = threads_for(max(x.numel(), out.numel()))
    if channels_last(x):
        *images, channels = x.shape[:-2]
        shape = (torch.Size(images).numel(), height, width, channels)
        kernel("pool", f"{name}_last", x.dtype)(x, out, *shape, threads)
        return out
    planes = x.shape[:-2].numel()
    kernel("pool", name, x.dtype)(x.contiguous(), out, planes, height, width, threads)
    return out


def _pool(x: Tensor) -> Tensor:
    """By torch, whatever the device; more than four dimensions are one for it."""
    planes = x if x.ndim <= 4 else x.flatten(0, -4)
    return F.avg_pool2d(planes, 2).reshape(*x.shape[:-2], x.shape[-2] // 2, x.shape[-1] // 2)


def _pool_backward(g: Tensor, height: int, width: int) -> Tensor:
    """A quarter of the gradient at each of the four places; zeros in a last odd row or column."""
    made, (rows, columns) = _whole_shape(g, height, width), g.shape[-2:]
    if (height, width) != (2 * rows, 2 * columns):
        made.zero_()
    inside = made[..., : 2 * rows, : 2 * columns]
    inside.unflatten(-1, (columns, 2)).unflatten(-3, (rows, 2)).copy_((g / 4)[..., None, :, None])
    return made


def _pool_cpu(x: Tensor) -> Tensor:
    if not _kernel_applies(x):
        return _pool(x)
    return _run("average_pool", x, _pooled_shape(x), *x.shape[-2:])


def _pool_backward_cpu(g: Tensor, height: int, width: int) -> Tensor:
    if not _kernel_applies(g):
        return _pool_backward(g, height, width)
    return _run("average_pool_backward", g, _whole_shape(g, height, width), height, width)


def _pooled_shape(x: Tensor) -> Tensor:
    return _whole_shape(x, x.shape[-2] // 2, x.shape[-1] // 2)


def _whole_shape(x: Tensor, height: int, width: int) -> Tensor:
    """A new [..., height, width] that lies in memory as x does."""
    if channels_last(x):
        *images, channels = x.shape[:-2]
        return x.new_empty((*images, height, width, channels)).movedim(-1, -3)
    return x.new_empty((*x.shape[:-2], height, width))


_library.impl("average_pool", _pool, "CompositeExplicitAutograd")
_library.impl("average_pool_backward", _pool_backward, "CompositeExplicitAutograd")
_library.impl("average_pool", _pool_cpu, "CPU")
_library.impl("average_pool_backward", _pool_backward_cpu, "CPU")
torch.library.register_fake("tempreg::average_pool")(_pooled_shape)
torch.library.register_fake("tempreg::average_pool_backward")(_whole_shape)
