"""How kernels see tensors in memory, without copying what they can read in place."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def rows(x: Tensor) -> tuple[Tensor, int]:
    """x [T, *N] with each timestep contiguous, and the elements from one timestep to the next.

    The step is 0, and nothing is copied, where all timesteps share memory (as `expand` makes).
    """
    if x.stride(0) == 0 and x[0].is_contiguous():
        return x, 0
    return x.contiguous(), x[0].numel()


def planes(x: Tensor) -> tuple[Tensor, int]:
    """x [T, *N] with each timestep's elements in one block of memory, in whatever order of the
    dimensions *N, and the elements from one timestep to the next; copied only where it must be.
    """
    if not is_dense(x.shape[1:], x.stride()[1:]):
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


def elements(v: Tensor) -> tuple[Tensor, int]:
    """v [*N] contiguous with step 1, or as it is with step 0 where one number stands for all."""
    if v.numel() > 1 and not any(v.stride()):
        return v, 0
    return v.contiguous(), 1


def zeros(like: Tensor) -> Tensor:
    """Zeros in the shape of `like` that take the memory of one; not to be written to."""
    return like.new_zeros(()).expand(like.shape)
