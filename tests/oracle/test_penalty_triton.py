"""The penalty's Triton kernel, in Triton's interpreter, against autograd of the definition."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tempreg.functional import trt_penalty
from tempreg.ops import dispatch, penalty
from tests.oracle.test_penalty import definition
from tests.oracle.triton_child import run_again

SETTINGS = {"num_steps": 10, "lam": 0.3, "decay": 0.5, "eps": 1e-5}


def test_penalty_in_the_interpreter(tmp_path: Path) -> None:
    run_again(__file__, "interpreted", tmp_path)


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU tensors take the way of a GPU's."""
    monkeypatch.setattr(penalty, "TOGETHER_ON", {"cpu"})
    monkeypatch.setitem(dispatch._RESOLVED, ("auto", "cpu"), "compiled")


def weights(dtype: torch.dtype) -> list[Tensor]:
    draws = torch.Generator().manual_seed(0)
    shapes = [(3, 2, 3, 3), (), (2050,), (7, 5), (0, 4)]
    made = [torch.randn(shape, generator=draws, dtype=torch.float64) * 3 for shape in shapes]
    made.append(made[0].contiguous(memory_format=torch.channels_last))
    made.append(torch.randn(40, 6, generator=draws, dtype=torch.float64)[::2, 1:])
    return [w.to(dtype).requires_grad_() for w in made]


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("steps", [1, 10, 70])
def interpreted_value_and_gradient(dtype: torch.dtype, steps: int) -> None:
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-6, torch.float16: 1e-3}[dtype]
    params, settings = weights(dtype), {**SETTINGS, "num_steps": steps}
    exact = [w.detach().double().requires_grad_() for w in params]
    ours, theirs = trt_penalty(params, **settings), definition(exact, *settings.values())
    assert ours.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert ours.item() == pytest.approx(theirs.item(), rel=tolerance)
    with torch.no_grad():
        assert trt_penalty(params, **settings).item() == ours.item()
    for a, b, w in zip(
        torch.autograd.grad(3 * ours, params), torch.autograd.grad(3 * theirs, exact), params,
        strict=True,
    ):  # fmt: skip
        assert a.dtype == w.dtype
        torch.testing.assert_close(a.double(), b, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("together")
def interpreted_twice_and_again() -> None:
    params = [w for w in weights(torch.float64) if w.numel()]
    value = trt_penalty(params, **SETTINGS)
    first = torch.autograd.grad(value, params, create_graph=True)
    exact = [w.detach().clone().requires_grad_() for w in params]
    theirs = torch.autograd.grad(definition(exact, *SETTINGS.values()), exact, create_graph=True)
    for ours, wanted in (
        (first, theirs),
        (torch.autograd.grad(sum(g.sum() for g in first), params, retain_graph=True),
         torch.autograd.grad(sum(g.sum() for g in theirs), exact)),
        (torch.autograd.grad(value, params), [g.detach() for g in theirs]),  # the slopes are gone
    ):  # fmt: skip
        for a, b in zip(ours, wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("together")
def interpreted_some_are_frozen() -> None:
    params = weights(torch.float64)[:3]
    params[1].requires_grad_(False)
    trt_penalty(params, **SETTINGS).backward()
    assert params[1].grad is None
    assert params[0].grad is not None
    torch.library.opcheck(
        torch.ops.tempreg.penalty_of_all.default,
        ([w.detach() for w in params], [1.0, 1.1], [0.0, 0.5], 0.1, True),
        test_utils=("test_schema", "test_faketensor"),
    )
