"""The penalty's closed form against autograd of its definition."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import grad, vmap

from tempreg.functional import trt_penalty
from tempreg.ops import penalty_operators
from tempreg.ops.penalty import PenaltyTerms, penalty, penalty_terms

SETTINGS = {
    "num_steps": st.integers(1, 12),
    "lam": st.floats(1e-6, 10.0),
    "decay": st.floats(0.0, 3.0),
    "eps": st.floats(0.0, 0.1),
    "seed": st.integers(0, 10**6),
}


def definition(
    params: list[Tensor], num_steps: int, lam: float, decay: float, eps: float
) -> Tensor:
    total = torch.zeros((), dtype=params[0].dtype)
    for t in range(num_steps):
        c = math.exp(decay * t) - 1
        for w in params:
            total = total + (w.square() / (1 + c * (w.abs() + eps))).sum()
    return lam / num_steps * total


def weights(seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    draws = torch.Generator().manual_seed(seed)
    shapes = [(3, 2, 3, 3), (), (513,), (7, 5)]
    sizes = [0.01, 1.0, 30.0, 0.3]
    return [
        (scale * torch.randn(shape, generator=draws, dtype=torch.float64))
        .to(dtype)
        .requires_grad_()
        for shape, scale in zip(shapes, sizes, strict=True)
    ]


@pytest.fixture(params=["kernel", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to run the passes; the first is the second where there is no C compiler."""
    if request.param == "torch":
        monkeypatch.setattr(penalty_operators, "_kernel_applies", lambda w: False)
    return request.param


@pytest.mark.usefixtures("way")
class TestAgainstDefinition:
    @given(**SETTINGS)
    def test_value_and_gradient(
        self, num_steps: int, lam: float, decay: float, eps: float, seed: int
    ) -> None:
        params = weights(seed)
        settings = {"num_steps": num_steps, "lam": lam, "decay": decay, "eps": eps}
        ours, theirs = trt_penalty(params, **settings), definition(params, **settings)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
        for a, e in zip(
            torch.autograd.grad(ours, params), torch.autograd.grad(theirs, params), strict=True
        ):
            torch.testing.assert_close(a, e, rtol=1e-12, atol=1e-300)

    def test_float32_and_threads(self) -> None:
        w = torch.randn(200_001, requires_grad=True)
        ours = trt_penalty([w], num_steps=6, lam=0.1, decay=0.5)
        theirs = definition([w.detach().double().requires_grad_()], 6, 0.1, 0.5, 1e-5)
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)

    def test_second_derivatives(self) -> None:
        w = torch.randn(9, dtype=torch.float64, requires_grad=True)
        terms = penalty_terms(6, 0.3, 0.5, 1e-5)
        assert torch.autograd.gradgradcheck(lambda w: penalty([w], terms), (w,))

    def test_a_kept_graph_gives_the_gradient_again(self) -> None:
        """The first one is handed out where the forward pass left it: changing it is no harm."""
        w = torch.randn(5000, dtype=torch.float64, requires_grad=True)
        value = trt_penalty([w], num_steps=5, lam=0.3)
        (expected,) = torch.autograd.grad(definition([w], 5, 0.3, 0.5, 1e-5), w)
        for factor in (1.0, 3.0, 1.0):
            upstream = torch.tensor(factor, dtype=torch.float64)
            (gradient,) = torch.autograd.grad(value, w, upstream, retain_graph=True)
            torch.testing.assert_close(gradient, factor * expected)
            gradient.zero_()
        for count in (1, 2):
            value.backward(retain_graph=True)
            torch.testing.assert_close(w.grad, count * expected)

    def test_one_process_thread_count_does_not_matter(self) -> None:
        w = torch.randn(100_000)
        values, threads = [], torch.get_num_threads()
        try:
            for count in (1, 2):
                torch.set_num_threads(count)
                values.append(trt_penalty([w], num_steps=4).item())
        finally:
            torch.set_num_threads(threads)
        assert values[0] == pytest.approx(values[1], rel=1e-6)


@given(**SETTINGS)
def test_reversed_schedule_gives_the_same(
    num_steps: int, lam: float, decay: float, eps: float, seed: int
) -> None:
    terms = penalty_terms(num_steps, lam, decay, eps)
    backwards = PenaltyTerms(terms.a[::-1], terms.c[::-1], terms.scale)
    params = weights(seed)
    torch.testing.assert_close(
        penalty(params, terms), penalty(params, backwards), rtol=1e-13, atol=0
    )


def test_no_decay_is_l2() -> None:
    params = weights(0)
    expected = 0.7 * sum(w.square().sum() for w in params)
    torch.testing.assert_close(trt_penalty(params, num_steps=5, lam=0.7, decay=0.0), expected)


def test_long_sequences_do_not_overflow() -> None:
    params = [w.detach().float().requires_grad_() for w in weights(1)]
    value = trt_penalty(params, num_steps=512, lam=1.0, decay=0.5)
    exact = trt_penalty([w.detach().double() for w in params], num_steps=512, lam=1.0, decay=0.5)
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, params))


def test_half_precision_counts_in_float32() -> None:
    w = torch.full((10_000,), 0.01, dtype=torch.bfloat16, requires_grad=True)
    value = trt_penalty([w], num_steps=1, lam=1.0)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(10_000 * w[0].item() ** 2, rel=1e-4)
    (gradient,) = torch.autograd.grad(value, w)
    assert gradient.dtype == torch.bfloat16


@pytest.mark.parametrize("kind", ["transposed", "strided", "channels last", "expanded"])
def test_other_layouts(kind: str) -> None:
    whole = torch.randn(4, 6, 3, 5, dtype=torch.float64)
    w = {
        "transposed": whole.transpose(0, 3),
        "strided": whole[:, ::2],
        "channels last": whole.to(memory_format=torch.channels_last),
        "expanded": whole[:1].expand(4, 6, 3, 5),
    }[kind].requires_grad_()
    ours, theirs = trt_penalty([w], num_steps=4, lam=1.0), definition([w], 4, 1.0, 0.5, 1e-5)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, w), torch.autograd.grad(theirs, w))


def test_batched_upstream_gradients() -> None:
    w = torch.randn(7, dtype=torch.float64, requires_grad=True)
    value, upstream = (
        trt_penalty([w], num_steps=4, lam=1.0),
        torch.tensor([1.0, 2.0, -3.0]).double(),
    )
    (alone,) = torch.autograd.grad(value, w, retain_graph=True)
    (batched,) = torch.autograd.grad(value, w, upstream, is_grads_batched=True)
    torch.testing.assert_close(batched, upstream[:, None] * alone)


def test_vmap() -> None:
    ws = torch.randn(3, 7, dtype=torch.float64)

    def value(w: Tensor) -> Tensor:
        return trt_penalty([w], num_steps=4, lam=1.0)

    torch.testing.assert_close(vmap(value)(ws), torch.stack([value(w) for w in ws]))
    torch.testing.assert_close(vmap(grad(value))(ws), torch.stack([grad(value)(w) for w in ws]))
    shared = vmap(grad(lambda w, x: value(w) * x), in_dims=(None, 0))(ws[0], torch.arange(3.0))
    torch.testing.assert_close(shared, torch.arange(3.0)[:, None] * grad(value)(ws[0]))


def test_nan_and_no_parameters() -> None:
    assert trt_penalty([torch.tensor([1.0, math.nan])], num_steps=3).isnan()
    assert trt_penalty([], num_steps=3).item() == 0.0


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"decay": -0.1}, "decay must be"),
        ({"decay": math.nan}, "decay must be"),
        ({"lam": -1.0}, "lam must be"),
        ({"eps": -1.0}, "eps must be"),
        ({"num_steps": 0}, "num_steps must be"),
    ],
)
def test_bad_settings(bad: dict[str, float], words: str) -> None:
    settings = {"num_steps": 4, "lam": 1.0, "decay": 0.5, "eps": 1e-5, **bad}
    with pytest.raises(ValueError, match=words):
        trt_penalty([torch.ones(2)], **settings)
