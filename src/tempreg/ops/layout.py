"""How kernels see tensors in memory, without copying what they can read in place.

Most tensors are contiguous, which is asked first: a small layer's pass is short.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def planes(x: Tensor) -> tuple[Tensor, int]:
    """x [T, *N] with each timestep's elements in one block of memory, in whatever order of the
    dimensions *N, and the elements from one timestep to the next; copied only where it must be.

    These are 0 where all timesteps share memory (as `expand` makes).
    """
    if not x.is_contiguous() and not is_dense(x.shape[1:], x.stride()[1:]):
        x = x.contiguous()
    return x, x.stride(0)


def order(x: Tensor) -> tuple[int, ...]:
    """The strides of a timestep of x [T, *N] once it is as `planes` gives it."""
    if is_dense(x.shape[1:], x.stride()[1:]):
        return tuple(x.stride()[1:])
    strides = [1]
    for size in reversed(x.shape[2:]):
        strides.insert(0, strides[0] * size)
    return tuple(strides)


def is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether a tensor's elements fill a block of memory, each place once."""
    filled = 1
    for stride, size in sorted((st, n) for n, st in zip(shape, strides, strict=True) if n != 1):
        if stride != filled:
            return False
        filled *= size
    return True


def same_order(x: Tensor, shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether x, of this shape, has its elements where these strides put them."""
    return all(
        n == 1 or mine == theirs for n, mine, theirs in zip(shape, x.stride(), strides, strict=True)
    )


def ordered(v: Tensor, x: Tensor) -> Tensor:
    """v [*N] with its elements in memory as those of a timestep of x, which is as of `planes`."""
    if x.is_contiguous():
        return v.contiguous()
    if same_order(v, x.shape[1:], x.stride()[1:]):
        return v
    return torch.empty_strided(v.shape, x.stride()[1:], dtype=v.dtype, device=v.device).copy_(v)


def ordered_in_time(gs: Tensor, x: Tensor) -> Tensor:
    """gs [T, *N] likewise, timestep after timestep."""
    if x.is_contiguous():
        return gs.contiguous()
    packed = len(gs) == 1 or gs.stride(0) == gs.shape[1:].numel()
    if packed and same_order(gs[0], x.shape[1:], x.stride()[1:]):
        return gs
    return in_time(gs, x).copy_(gs)


def in_time(like: Tensor, x: Tensor) -> Tensor:
    """A new tensor like the first [T, *N], timestep after timestep, each in memory as `planes`
    has those of x."""
    if x.is_contiguous():
        return like.new_empty(like.shape)
    strides = (x.shape[1:].numel(), *order(x))
    return torch.empty_strided(like.shape, strides, dtype=like.dtype, device=like.device)


def of_a_step(x: Tensor, dtype: torch.dtype) -> Tensor:
    """A new tensor [*N], in memory as a timestep of x [T, *N] as `planes` has it."""
    if x.is_contiguous():
        return x.new_empty(x.shape[1:], dtype=dtype)
    return torch.empty_strided(x.shape[1:], order(x), dtype=dtype, device=x.device)


def elements(v: Tensor, x: Tensor) -> tuple[Tensor, int]:
    """v [*N] as `ordered` has it, with step 1, or as it is with step 0 where one number stands for
    all."""
    if v.numel() > 1 and not any(v.stride()):
        return v, 0
    return ordered(v, x), 1


def channels_last(x: Tensor) -> bool:
    """Whether [..., C, H, W] lies in memory as [..., H, W, C], and not as it is indexed."""
    return x.ndim > 3 and not x.is_contiguous() and x.movedim(-3, -1).is_contiguous()


def zeros(like: Tensor) -> Tensor:
    """Zeros in the shape of `like` that take the memory of one; not to be written to."""
    return like.new_zeros(()).expand(like.shape)
