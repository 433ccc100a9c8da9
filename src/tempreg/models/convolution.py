"""Which way convolutions run: torch's, or through lists of the inputs that aren't zero.

dense    torch's own
sparse   each that can walks lists, in the forward pass and for the gradient of its weights
auto     a pass of a layer walks lists where the share of inputs that aren't zero is below what was
         measured to pay on this machine; see `tempreg.ops.sparse_limits`

One that can: an `nn.Conv2d` in float32 on a CPU, with a kernel of 2 x 2 to 7 x 7, without groups
or dilation. `F.conv2d` is the meaning, to summation order. It is also what runs where somebody
looks on or derives otherwise: under hooks of the convolution, autocast, torch.func, forward-mode
derivatives, torch.compile, torch.export, and modes that see torch's functions.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from tempreg.models.fused import unobserved
from tempreg.ops import cbuild
from tempreg.ops.dispatch import BackendUnavailable
from tempreg.ops.mapping import transformed
from tempreg.ops.sparse_conv import BOTH, MOST_INPUTS, density, sparse_conv2d
from tempreg.ops.sparse_limits import limits_of
from tempreg.options.neuron import Conv

CONVOLUTIONS: tuple[str, ...] = get_args(Conv)


def check_conv(conv: str, device_type: str = "cpu") -> None:
    """ValueError for an unknown name; BackendUnavailable where "sparse" can't run on a device."""
    if conv not in CONVOLUTIONS:
        raise ValueError(f"unknown conv {conv!r}: choose one of {', '.join(CONVOLUTIONS)}")
    if conv != "sparse":
        return
    if device_type != "cpu":
        raise BackendUnavailable(f"conv 'sparse' runs on a CPU, not on {device_type}: leave it out")
    try:
        cbuild.load("sparse")
    except (cbuild.KernelUnavailable, OSError) as error:
        raise BackendUnavailable(f"conv 'sparse' cannot run here: {error}") from error


@functools.cache
def _measurable() -> bool:
    """Whether "auto" has a choice; said once where it has none."""
    try:
        cbuild.load("sparse")
    except (cbuild.KernelUnavailable, OSError) as error:
        warnings.warn(f"conv 'auto' is 'dense' here: {error}", stacklevel=2)
        return False
    return True


def convolved(conv: nn.Conv2d, x: Tensor, way: str) -> Tensor:
    """conv(x) of x [N, C, H, W], by "auto", "dense" or "sparse"; see the module's docstring."""
    if x.device.type == "cpu" and _rounds() and not transformed():  # torch.func has no such order
        x = channels_last(x)
    if way == "dense" or not _can(conv, x):
        plain: Tensor = conv(x)
        return plain
    weight, stride, padding = conv.weight, _pair(conv.stride), _pair(conv.padding)
    passes = BOTH
    if way == "auto":
        if not _measurable():
            return conv(x)  # type: ignore[no-any-return]
        limits, needed = limits_of(x, weight, stride, padding), torch.is_grad_enabled()
        passes = limits.passes(density(x) if any(limits) else 1.0)
        if not passes.result and not (passes.weights and needed and weight.requires_grad):
            return conv(x)  # type: ignore[no-any-return]
    return sparse_conv2d(x, weight, conv.bias, stride, padding, passes)


def _rounds() -> bool:
    """Whether convolutions on a CPU are in bfloat16 here, as `precision: bf16-mixed` has them."""
    autocast = torch.is_autocast_enabled("cpu")
    return autocast and torch.get_autocast_dtype("cpu") == torch.bfloat16


def channels_last(x: Tensor) -> Tensor:
    """x [N, C, H, W] with its channels last in memory, as convolutions in bfloat16 are fastest.

    Then their results, what comes after them and its gradients are so, too, without another copy.
    """
    if x.ndim == 4 and x.shape[1] == 1:  # it is, but its strides must say so
        images, _, height, width = x.shape
        return x.reshape(images, height, width, 1).movedim(-1, 1)
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def _pair(value: Any) -> tuple[int, int]:
    high, wide = value
    return int(high), int(wide)


def _can(conv: nn.Conv2d, x: Tensor) -> bool:
    return (
        type(conv) is nn.Conv2d
        and x.device.type == "cpu"
        and type(x) in (Tensor, nn.Parameter)
        and x.dtype == conv.weight.dtype == torch.float32
        and (conv.groups, tuple(conv.dilation), conv.padding_mode) == (1, (1, 1), "zeros")
        and not isinstance(conv.padding, str)
        and 2 <= min(conv.kernel_size) <= max(conv.kernel_size) <= 7
        and _has_result(conv, x)
        and unobserved(conv)
        and not _looked_on()
    )


def _has_result(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether shapes fit; torch says what is wrong where they don't."""
    sizes = zip(x.shape[2:], conv.kernel_size, _pair(conv.padding), strict=False)
    return (
        x.ndim == 4
        and x.shape[1] == conv.in_channels
        and 0 < x.numel() <= MOST_INPUTS
        and all(size + 2 * padding >= taps for size, taps, padding in sizes)
    )


def _looked_on() -> bool:
    """Whether something else than plain autograd is at work on calls of torch's functions."""
    return (
        torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()
        or transformed()
        or forward_ad._current_level >= 0
        or torch._C._len_torch_function_stack() > 0
        or torch._C._len_torch_dispatch_stack() > 0
    )
