"""Convolutions of inputs that are mostly zeros, through kernels/sparse.c: exact to summation order.

The result and the gradient of the weights walk lists of the inputs that aren't zero, made once; the
gradient of the input is torch's own. `F.conv2d` is the meaning of it. Sums have one order, whatever
the number of threads, so the same input gives the same bits. What is zero is left out: a weight
that is NaN or infinite shows only where an input meets it.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional as F

from tempreg.ops.ckernel import kernel, threads_for
from tempreg.ops.mapping import signed

PARALLEL_FROM = 16_384
MOST_INPUTS = 2**31 - 1
"""Places in lists are numbers of 32 bits."""
_SAMPLED = 13
"""One of so many planes is counted for a density; prime, so that all channels and samples come."""

Pair = tuple[int, int]


@final
class Passes(NamedTuple):
    """Which passes of a convolution walk lists; the others are torch's.

    Attributes:
        result: the forward pass.
        weights: the gradient of the weights.
    """

    result: bool
    weights: bool


BOTH = Passes(True, True)


@final
class Lists(NamedTuple):
    """The inputs of x [N, C, H, W] that aren't zero; see kernels/sparse_lists.h."""

    starts: Tensor
    position: Tensor
    value: Tensor | None


@final
class _Plan(NamedTuple):
    """A shape as kernels take it, and how much room they need."""

    shape: Tensor
    sums: int
    packed: int
    starts: int
    result: tuple[int, int, int, int]


@functools.lru_cache(maxsize=512)
def _plan(x: tuple[int, ...], weight: tuple[int, ...], stride: Pair, padding: Pair) -> _Plan:
    images, channels, *size = x
    outputs, _, *taps = weight
    out = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, padding, taps, stride, strict=True)]
    numbers = [images, channels, *size, outputs, *out, *taps, *stride, *padding, 0, 0]
    shape, sizes = torch.tensor(numbers), torch.zeros(3, dtype=torch.int64)
    kernel("sparse", "sparse_plan", torch.float32)(shape, sizes)
    sums, packed, starts = sizes.tolist()
    return _Plan(shape, sums, packed, starts, (images, outputs, out[0], out[1]))


def _planned(x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> tuple[_Plan, int]:
    """The plan, and how many threads it is worth."""
    plan = _plan(tuple(x.shape), tuple(weight.shape), stride, padding)
    return plan, threads_for(x.numel(), PARALLEL_FROM)


def _run(name: str, *arguments: Any) -> None:
    kernel("sparse", name, torch.float32)(*arguments)


def density(x: Tensor) -> float:
    """The share of non-zeros in every thirteenth plane of x [N, C, H, W]: that of x, nearly."""
    planes = x.flatten(0, 1)[::_SAMPLED]
    return float(torch.count_nonzero(planes)) / max(planes.numel(), 1)


def list_pass(x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Lists:
    """The lists of contiguous x [N, C, H, W], as this convolution needs them."""
    plan, threads = _planned(x, weight, stride, padding)
    starts = torch.empty(plan.starts, dtype=torch.int32)
    totals = torch.empty(2, dtype=torch.int64)
    _run("sparse_count", x, plan.shape, starts, totals, threads)
    places, others = totals.tolist()
    position = torch.empty(places, dtype=torch.int32)
    value = x.new_empty(places) if others else None
    _run("sparse_fill", x, plan.shape, starts, position, value, threads)
    return Lists(starts, position, value)


def result_pass(x: Tensor, weight: Tensor, lists: Lists, stride: Pair, padding: Pair) -> Tensor:
    """[N, K, H', W'], without a bias; of x, only the shape is read."""
    plan, threads = _planned(x, weight, stride, padding)
    packed, out = weight.new_empty(plan.packed), weight.new_empty(plan.result)
    _run("sparse_pack", weight.contiguous(), plan.shape, packed, threads)
    scratch = weight.new_empty(threads * plan.sums)
    _run("sparse_result", packed, plan.shape, *lists, out, scratch, threads)
    return out


def weights_pass(
    g: Tensor, x: Tensor, weight: Tensor, lists: Lists, stride: Pair, padding: Pair
) -> Tensor:
    """The gradient of the weights [K, C, kh, kw] from that of the result, g [N, K, H', W']."""
    plan, threads = _planned(x, weight, stride, padding)
    packed, gw = g.new_empty(plan.packed), g.new_empty(weight.shape)
    scratch = g.new_empty(threads * plan.sums)
    _run("sparse_weights", g.contiguous(), plan.shape, *lists, packed, gw, scratch, threads)
    return gw


def sparse_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    passes: Passes = BOTH,
) -> Tensor:
    """`F.conv2d` of x [N, C, H, W] and weight [K, C, kh, kw], in float32 on a CPU.

    The kernels must load (`cbuild.loads("sparse")`), and x have at most MOST_INPUTS elements.
    Differentiable any number of times; from the second on all of it is torch's.
    """
    out: Tensor = SparseConv.apply(x, weight, bias, stride, padding, passes)
    return out


@final
@signed
class SparseConv(torch.autograd.Function):
    """See `sparse_conv2d`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: Pair,
        padding: Pair,
        passes: Passes,
    ) -> Tensor:
        """The result; keeps lists where the gradient of the weights will walk them."""
        x = x.contiguous()
        later = passes.weights and ctx.needs_input_grad[1]
        lists = list_pass(x, weight, stride, padding) if passes.result or later else None
        if lists is not None and passes.result:
            out = result_pass(x, weight, lists, stride, padding)
            if bias is not None:
                out += bias[:, None, None]
        else:
            out = F.conv2d(x, weight, bias, stride, padding)
        ctx.constants, ctx.has_bias = (stride, padding), bias is not None
        kept = lists if lists is not None and later else (None, None, None)
        ctx.save_for_backward(x, weight, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Any, ...]:
        """The gradients of x, weight and bias."""
        (g,) = grad_outputs
        x, weight, starts, position, value = ctx.saved_tensors
        of_x, of_weight, of_bias, *_ = ctx.needs_input_grad
        stride, padding = ctx.constants
        # A graph of this pass is wanted where gradients are enabled: torch's has one.
        walks = of_weight and starts is not None and not torch.is_grad_enabled()
        mask = [of_x, of_weight and not walks, of_bias and ctx.has_bias]
        gx, gw, gb = None, None, None
        if any(mask):
            gx, gw, gb = torch.ops.aten.convolution_backward(
                g,
                x,
                weight,
                [weight.shape[0]] if ctx.has_bias else None,
                stride,
                padding,
                (1, 1),
                False,
                (0, 0),
                1,
                mask,
            )
        if walks:
            gw = weights_pass(g, x, weight, Lists(starts, position, value), stride, padding)
        return gx, gw, gb, None, None, None
