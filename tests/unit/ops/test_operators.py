"""What tempreg registers with torch: shapes without values, and the way back in plain training."""

from __future__ import annotations

import pytest
import torch
from torch.func import grad, vmap

from tempreg.functional import trt_penalty
from tempreg.ops import cbuild, penalty_operators
from tempreg.ops.penalty import penalty_terms
from tests.conftest import needs_compiler

CHECKS = ("test_schema", "test_faketensor")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_shapes_of_the_penalty_without_values(dtype: torch.dtype) -> None:
    w = torch.randn(5, 3).to(dtype)
    a, c, scale = penalty_terms(4, lam=0.1, decay=0.5, eps=1e-5)
    ops = torch.ops.tempreg
    torch.library.opcheck(ops.penalty_value.default, (w, [*a], [*c]), test_utils=CHECKS)
    both = (w, [*a], [*c], scale)
    torch.library.opcheck(ops.penalty_value_and_slope.default, both, test_utils=CHECKS)


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("last", [False, True])
def test_shapes_of_lif_and_pooling_without_values(dtype: torch.dtype, *, last: bool) -> None:
    import tempreg.ops.lif_c  # registers the operators
    import tempreg.ops.pool

    assert tempreg.ops.lif_c
    x = torch.randn(3, 4, 5, 6).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    v0 = torch.zeros(4, 5, 6)
    ops, spec = torch.ops.tempreg, (2.0, 1.0, 0.0, 0, 1.0, False)
    for each in (x, x[:1].expand(3, 4, 5, 6)):
        torch.library.opcheck(ops.lif_forward.default, (each, v0, None, *spec), test_utils=CHECKS)
        for rest in (False, True):
            given = (x, None, each, v0, None, *spec, rest)
            torch.library.opcheck(ops.lif_backward.default, given, test_utils=CHECKS)
    torch.library.opcheck(ops.average_pool.default, (x,), test_utils=CHECKS)
    torch.library.opcheck(ops.average_pool_backward.default, (x, 11, 12), test_utils=CHECKS)


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("last", [False, True])
def test_shapes_of_norm_and_lif_without_values(dtype: torch.dtype, *, last: bool) -> None:
    import tempreg.ops.norm_lif  # registers the operators

    assert tempreg.ops.norm_lif
    x, gs = torch.randn(3, 2, 4, 5, 6).to(dtype), torch.randn(3, 2, 4, 5, 6).to(dtype)
    if last:
        x, gs = (t.movedim(2, -1).contiguous().movedim(-1, 2) for t in (x, gs))
    alpha, beta, mean, invstd = (torch.rand(4) + 0.5 for _ in range(4))
    ops = torch.ops.tempreg
    torch.library.opcheck(ops.channel_statistics.default, (x,), test_utils=CHECKS)
    forward = (x, alpha, beta, 3, 2.0, 1.0, 0.0)
    torch.library.opcheck(ops.norm_lif_forward.default, forward, test_utils=CHECKS)
    backward = (gs, x, alpha, beta, mean, invstd, 2.0, 1.0, 0.0, 0, 1.0, False)
    torch.library.opcheck(ops.norm_lif_backward.default, backward, test_utils=CHECKS)


@pytest.mark.parametrize("factor", [1.0, 3.0, 0.0])
def test_a_penalty_within_a_larger_loss(factor: float) -> None:
    w = torch.randn(40, dtype=torch.float64, requires_grad=True)
    settings = {"num_steps": 4, "lam": 0.3, "decay": 0.5, "eps": 1e-5}
    (factor * trt_penalty([w], **settings)).backward()
    (slope,) = torch.autograd.grad(trt_penalty([w], **settings), w, create_graph=True)
    torch.testing.assert_close(w.grad, factor * slope.detach(), rtol=1e-14, atol=0)


def test_a_penalty_without_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"num_steps": 4, "lam": 0.3, "decay": 0.5, "eps": 1e-5}
    w = torch.randn(40, requires_grad=True)
    wanted = trt_penalty([w], **settings)
    monkeypatch.setattr(cbuild, "loads", lambda name: name != "penalty")
    monkeypatch.delattr(penalty_operators, "_run")
    torch.testing.assert_close(trt_penalty([w], **settings), wanted)


def test_penalties_of_a_batch_of_one() -> None:
    settings = {"num_steps": 4, "lam": 0.3, "decay": 0.5, "eps": 1e-5}
    w = torch.randn(1, 7, dtype=torch.float64)
    mapped = vmap(lambda w: trt_penalty([w], **settings))(w)
    torch.testing.assert_close(mapped, trt_penalty([w], **settings)[None])
    slopes = vmap(grad(lambda w: trt_penalty([w], **settings)))(w)
    torch.testing.assert_close(slopes[0], grad(lambda w: trt_penalty([w], **settings))(w[0]))


def test_a_kernel_that_is_not_there_does_not_load() -> None:
    assert not cbuild.loads("absent")
