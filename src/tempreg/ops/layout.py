"""How kernels see tensors in memory, without copying what they can read in place."""

from __future__ import annotations

from torch import Tensor


def rows(x: Tensor) -> tuple[Tensor, int]:
    """x [T, *N] with each timestep contiguous, and the elements from one timestep to the next.

    The step is 0, and nothing is copied, where all timesteps share memory (as `expand` makes).
    """
    if x.stride(0) == 0 and x[0].is_contiguous():
        return x, 0
    return x.contiguous(), x[0].numel()


def elements(v: Tensor) -> tuple[Tensor, int]:
    """v [*N] contiguous with step 1, or as it is with step 0 where one number stands for all."""
    if v.numel() > 1 and not any(v.stride()):
        return v, 0
    return v.contiguous(), 1


def zeros(like: Tensor) -> Tensor:
    """Zeros in the shape of `like` that take the memory of one; not to be written to."""
    return like.new_zeros(()).expand(like.shape)
