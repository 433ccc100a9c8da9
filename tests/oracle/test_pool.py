"""2x2 average pooling against torch's, bit for bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import grad, vmap
from torch.nn import functional as F

from tempreg.ops import cbuild
from tempreg.ops.pool import average_pool_2x2
from tests.conftest import needs_compiler

EDGE = st.integers(2, 39)


@needs_compiler
@given(
    planes=st.sampled_from([(1, 1), (2, 3), (0, 2), (17, 5)]),
    height=EDGE,
    width=EDGE,
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 10**6),
)
def test_equals_torch(
    planes: tuple[int, int], height: int, width: int, dtype: torch.dtype, seed: int
) -> None:
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn((*planes, height, width), generator=draws, dtype=dtype).requires_grad_()
    results = []
    for pool in (average_pool_2x2, lambda x: F.avg_pool2d(x, 2)):
        pooled = pool(x)
        upstream = torch.arange(pooled.numel(), dtype=dtype).reshape(pooled.shape)
        results.append((pooled, *torch.autograd.grad(pooled, x, upstream)))
    assert "_AveragePool" in type(average_pool_2x2(x).grad_fn).__name__
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


@needs_compiler
def test_other_layouts_threads_and_values() -> None:
    x = torch.randn(64, 6, 34, 30)
    x[3, 2, 5, 5], x[4, 2, 6, 6] = torch.nan, torch.inf
    last = x.contiguous(memory_format=torch.channels_last)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        ours = average_pool_2x2(last)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(ours.nan_to_num(7.0), F.avg_pool2d(x, 2).nan_to_num(7.0))


@needs_compiler
def test_derivatives_of_any_order_and_vmap() -> None:
    x = torch.randn(2, 2, 5, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: average_pool_2x2(x).square(), x)
    samples = torch.randn(3, 2, 2, 5, 7, dtype=torch.float64)
    mapped = vmap(grad(lambda s: average_pool_2x2(s).pow(3).sum()), in_dims=1)(
        samples.movedim(0, 1)
    )
    for sample, gradient in zip(samples, mapped, strict=True):
        torch.testing.assert_close(
            grad(lambda s: F.avg_pool2d(s, 2).pow(3).sum())(sample), gradient
        )


def test_where_the_kernel_does_not_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    half = torch.randn(2, 2, 4, 4, dtype=torch.bfloat16)
    assert torch.equal(average_pool_2x2(half), F.avg_pool2d(half, 2))
    with pytest.raises(RuntimeError, match="too small"):
        average_pool_2x2(torch.randn(2, 2, 1, 4))
    monkeypatch.setattr(cbuild, "loads", lambda name: False)
    x = torch.randn(2, 2, 4, 4)
    assert torch.equal(average_pool_2x2(x), F.avg_pool2d(x, 2))
