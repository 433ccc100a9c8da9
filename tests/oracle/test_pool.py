"""2x2 average pooling against torch's, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import grad, vmap
from torch.nn import functional as F

from tempreg import LIF, create_model
from tempreg.ops import cbuild
from tempreg.ops.pool import average_pool_2x2
from tests.conftest import needs_compiler

EDGE = st.integers(2, 39)


@needs_compiler
@given(
    planes=st.sampled_from([(1, 1), (2, 3), (0, 2), (17, 5)]),
    height=EDGE,
    width=EDGE,
    dtype=st.sampled_from([torch.bfloat16, torch.float32, torch.float64]),
    order=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    seed=st.integers(0, 10**6),
)
def test_equals_torch(
    planes: tuple[int, int],
    height: int,
    width: int,
    dtype: torch.dtype,
    order: torch.memory_format,
    seed: int,
) -> None:
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn((*planes, height, width), generator=draws).to(dtype)
    x = x.contiguous(memory_format=order).requires_grad_()
    results = []
    for pool in (average_pool_2x2, lambda x: F.avg_pool2d(x, 2)):
        pooled = pool(x)
        upstream = torch.arange(pooled.numel()).to(dtype).reshape(pooled.shape)
        upstream = upstream.contiguous(memory_format=order)
        results.append((pooled, *torch.autograd.grad(pooled, x, upstream)))
    assert "_AveragePool" in type(average_pool_2x2(x).grad_fn).__name__
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)
        assert ours.dtype == dtype
        either = pooled.numel() <= planes[0] * planes[1]  # one pixel lies in both orders
        assert ours.is_contiguous(memory_format=order) or either


@needs_compiler
def test_bfloat16_is_rounded_to_the_nearest_and_of_two_to_the_even_one() -> None:
    """The sum of 1 and of half a unit in its last place, and of one and a half."""
    unit, huge = 2.0**-7, torch.finfo(torch.bfloat16).max
    windows = torch.tensor(
        [
            [4.0, 2 * unit, 0.0, 0.0],
            [4.0, 6 * unit, 0.0, 0.0],
            [4.0, 2 * unit, 2.0**-20, 0.0],
            [huge, huge, 0.0, 0.0],
            [torch.nan, 1.0, 1.0, 1.0],
            [-0.0, -0.0, -0.0, -0.0],
            [2.0**-133, 2.0**-133, 2.0**-133, 0.0],
        ]
    )
    x = windows.bfloat16().reshape(-1, 1, 2, 2)
    found = average_pool_2x2(x).flatten()
    assert found.tolist()[:3] == [1.0, 1.0 + 2 * unit, 1.0 + unit]
    assert found[3] == torch.inf
    assert found[4].isnan()
    assert torch.equal(found.nan_to_num(7.0), F.avg_pool2d(x, 2).flatten().nan_to_num(7.0))
    assert found[5].signbit()
    assert found[6] > 0


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 8, 6), (2, 2, 5, 7), (1, 1, 2, 3), (0, 2, 4, 4)])
def test_where_the_kernel_does_not_apply(
    shape: tuple[int, ...],
    order: torch.memory_format,
    dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By torch: on a GPU, in half precision, or without a C compiler."""
    monkeypatch.setattr(cbuild, "loads", lambda name: False)
    x = torch.randn(shape).to(dtype).contiguous(memory_format=order).requires_grad_()
    ours, theirs = average_pool_2x2(x), F.avg_pool2d(x, 2)
    assert torch.equal(ours, theirs)
    upstream = torch.randn_like(theirs)
    wanted = torch.autograd.grad(theirs, x, upstream)[0]
    found = torch.autograd.grad(ours, x, upstream)[0]
    assert torch.equal(found, wanted)
    assert found.stride() == wanted.stride() or x.numel() == 0 or max(shape[2:]) < 4
    with pytest.raises(RuntimeError, match="too small"):
        average_pool_2x2(torch.randn(2, 2, 1, 4))


def saved_by(network: Callable[[Tensor], Tensor], x: Tensor) -> list[Tensor]:
    """What is kept for the backward pass, each memory once."""
    kept: dict[int, Tensor] = {}

    def pack(t: Tensor) -> Tensor:
        kept[t.untyped_storage().data_ptr()] = t
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        network(x)
    return list(kept.values())


@pytest.mark.parametrize("kernel", [pytest.param(True, marks=needs_compiler), False])
def test_nothing_is_kept_for_the_backward_pass(
    kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by a pooling, nor by a network that has one: not the spikes' size beside its input's."""
    if not kernel:
        monkeypatch.setattr(cbuild, "loads", lambda name: False)
    x = torch.rand(6, 4, 16, 16, requires_grad=True)
    assert saved_by(average_pool_2x2, x) == []
    assert sum(t.nbytes for t in saved_by(lambda x: F.avg_pool2d(x, 2), x)) == x.nbytes
    network = create_model(
        "csnn", num_classes=3, in_channels=2, num_steps=2, input_size=16, channels=(4, 6),
        backend="eager",
    )  # fmt: skip
    inputs = torch.rand(2, 3, 2, 16, 16)
    spikes = []
    for module in network.modules():
        if isinstance(module, LIF):
            module.register_forward_hook(lambda *args: spikes.append(args[2]))
    kept = {t.untyped_storage().data_ptr() for t in saved_by(network, inputs)}
    assert len(spikes) == 2
    assert not any(s.untyped_storage().data_ptr() in kept for s in spikes)


@pytest.mark.filterwarnings("default:`torch.jit.script` is deprecated")  # torch's own, inside jvp
def test_forward_mode() -> None:
    x, v = torch.rand(2, 3, 5, 4), torch.rand(2, 3, 5, 4)
    _, tangent = torch.func.jvp(average_pool_2x2, (x,), (v,))
    torch.testing.assert_close(tangent, F.avg_pool2d(v, 2))
    y = x.clone().requires_grad_()

    def gradient(x: torch.Tensor) -> torch.Tensor:
        return torch.func.grad(lambda x: average_pool_2x2(x).square().sum())(x)

    _, second = torch.func.jvp(gradient, (x,), (v,))
    plain = torch.autograd.functional.hvp(lambda x: F.avg_pool2d(x, 2).square().sum(), y, v)[1]
    torch.testing.assert_close(second, plain)
