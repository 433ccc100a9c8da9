"""docs/theory.md, formula by formula: the text is evaluated and held against autograd."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import tempreg
from tempreg.functional import lif, trt_penalty
from tempreg.ops.lif_reference import charge, reset
from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import DERIVATIVES, Spike

DOCUMENT = Path(__file__).parents[2] / "docs" / "theory.md"
LINE = re.compile(r"^    \((\d+)\) +(.*?)(?: {2,}\(.*\))?$", re.MULTILINE)
FORMULAS = {int(number): text for number, text in LINE.findall(DOCUMENT.read_text())}
T, N = 6, 40


def value(number: int, **names: Any) -> Any:
    """The right side of a formula, or the truth of an inequality."""
    text = FORMULAS[number]
    _, equals, right = text.partition(" = ")
    functions = {"sum": sum, "range": range, "abs": abs, "exp": math.exp, "sign": torch.sign,
                 "prod": lambda items: math.prod(items)}  # fmt: skip
    return eval(right if equals else text, {"__builtins__": {}, **functions, **names})


def potentials(spec: LIFSpec, tau: float, *, spread: float = 1.5) -> tuple[Tensor, ...]:
    """h, s and the own derivative dh[t+1]/dh[t] by autograd, [T, N]."""
    x = torch.randn(T, N, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * spread
    v, made, spikes, factors = torch.zeros(N, dtype=torch.float64), [], [], []
    for t in range(T):
        h = charge(v, x[t], tau).detach().requires_grad_()
        s = Spike.apply(h, spec.v_threshold, spec.surrogate, spec.surrogate_param)
        v = reset(h, s, spec)
        (factor,) = torch.autograd.grad((v / tau).sum(), h, retain_graph=True)
        made.append(h.detach())
        spikes.append(s.detach())
        factors.append(factor)
    return torch.stack(made), torch.stack(spikes), torch.stack(factors)


@pytest.mark.parametrize(
    ("number", "v_reset", "detached"),
    [(1, 0.0, False), (1, -0.4, False), (2, None, False), (3, 0.0, True), (4, None, True)],
)
@pytest.mark.parametrize("surrogate", list(DERIVATIVES))
def test_1_to_4_temporal_factors(
    number: int, v_reset: float | None, detached: bool, surrogate: str
) -> None:
    from tempreg.analysis.factors import membrane, temporal_factors

    spec = LIFSpec(1.3, v_reset, surrogate, 1.7, detached)
    h, s, expected = potentials(spec, 1.6)
    phi = DERIVATIVES[surrogate](h - 1.3, 1.7)
    names = {"s": s, "h": h, "phi": phi, "tau": 1.6, "v_th": 1.3, "v_reset": v_reset}
    got = torch.as_tensor(value(number, **names), dtype=h.dtype).expand_as(h)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    neuron = tempreg.LIF(tau=1.6, v_threshold=1.3, v_reset=v_reset, surrogate=surrogate,
                         surrogate_param=1.7, detach_reset=detached)  # fmt: skip
    x = torch.randn(T, N, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 1.5
    torch.testing.assert_close(membrane(neuron, x)[0], h)
    torch.testing.assert_close(temporal_factors(neuron, x), expected[:-1], rtol=1e-12, atol=1e-12)


@pytest.fixture
def chain() -> dict[str, Any]:
    """A layer's own quantities and its gradient by autograd."""
    spec, tau = LIFSpec(), 1.8
    h, _, f = potentials(spec, tau)
    x = torch.randn(T, N, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 1.5
    x.requires_grad_()
    g = torch.randn(T, N, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (delta,) = torch.autograd.grad((lif(x, tau=tau, backend="reference") * g).sum(), x)
    return {"h": h, "f": f, "g": g, "phi": DERIVATIVES["triangle"](h - 1, 1.0), "delta": delta,
            "T": T, "x": x.detach(), "tau": tau}  # fmt: skip


def test_5_recursion(chain: dict[str, Any]) -> None:
    delta = chain.pop("delta")
    padded = torch.cat([delta, torch.zeros(1, N, dtype=delta.dtype)])
    for t in range(T):
        torch.testing.assert_close(value(5, t=t, delta=padded, **chain), delta[t])


def test_6_products(chain: dict[str, Any]) -> None:
    for t in range(T):
        torch.testing.assert_close(value(6, t=t, **chain), chain["delta"][t])


def test_7_weight(chain: dict[str, Any]) -> None:
    a = chain["x"] / 0.7
    w = torch.full((N,), 0.7, dtype=torch.float64, requires_grad=True)
    loss = (lif(a * w, tau=chain["tau"], backend="reference") * chain["g"]).sum()
    (expected,) = torch.autograd.grad(loss, w)
    torch.testing.assert_close(value(7, a=a, **chain), expected)


@pytest.mark.parametrize("v_reset", [0.0, None])
@pytest.mark.parametrize("tau", [1.0, 2.0])
def test_8_bound_of_the_triangle(v_reset: float | None, tau: float) -> None:
    for spread in (0.3, 1.0, 3.0):
        _, _, f = potentials(LIFSpec(v_reset=v_reset), tau, spread=spread)
        assert bool(value(8, f_triangle=f, tau=tau - 1e-12).all())
    _, _, f = potentials(LIFSpec(surrogate="sigmoid", surrogate_param=10.0), tau)
    assert not bool(value(8, f_triangle=f, tau=tau).all())
    _, _, f = potentials(LIFSpec(v_reset=v_reset), tau)
    assert not bool(value(8, f_triangle=f, tau=tau * 1.2).all())


def test_9_at_rest() -> None:
    h, _, f = potentials(LIFSpec(), 2.0)
    assert int((h <= 0).sum()) > 20
    torch.testing.assert_close(f[h <= 0], torch.full_like(f[h <= 0], value(9, tau=2.0)))


def test_10_sigmoid_just_above_the_threshold() -> None:
    h = torch.tensor([1 + 1e-9], dtype=torch.float64, requires_grad=True)
    s = Spike.apply(h, 1.0, "sigmoid", 10.0)
    (f,) = torch.autograd.grad(reset(h, s, LIFSpec()) / 2.0, h)
    assert float(f) == pytest.approx(value(10, alpha=10.0, tau=2.0), rel=1e-6)


LOSSES = {
    11: tempreg.RateLoss(),
    12: tempreg.TETLoss(lam=0.0),
    13: tempreg.TETLoss(lam=0.3, means=0.8),
    14: tempreg.TRTLoss(torch.nn.Linear(1, 1), lam=0.0, eta=0.2),
}


@pytest.mark.parametrize("number", LOSSES)
def test_11_to_14_at_the_logits(number: int) -> None:
    o = torch.randn(T, 1, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    o.requires_grad_()
    y = torch.tensor([2])
    (expected,) = torch.autograd.grad(LOSSES[number](o, y), o)
    inner = o.detach()[:, 0]
    names = {"p": inner.softmax(-1), "p_mean": inner.mean(0).softmax(-1), "o": inner, "T": T,
             "y": F.one_hot(y[0], 5), "C": 5, "lam": 0.3, "means": 0.8, "eta": 0.2}  # fmt: skip
    for t in range(T):
        torch.testing.assert_close(value(number, t=t, **names), expected[t, 0])


def penalty(w: Tensor, lam: float = 0.3, decay: float = 0.5, eps: float = 1e-2) -> Tensor:
    return trt_penalty([w], num_steps=T, lam=lam, decay=decay, eps=eps)


NAMES = {
    "lam": 0.3,
    "decay": 0.5,
    "eps": 1e-2,
    "T": T,
    "c": [math.expm1(0.5 * t) for t in range(T)],
}


def test_15_and_16_the_penalty() -> None:
    w = torch.randn(30, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    w.requires_grad_()
    torch.testing.assert_close(value(15, w=w, **NAMES).sum(), penalty(w))
    (expected,) = torch.autograd.grad(penalty(w), w)
    torch.testing.assert_close(value(16, w=w, **NAMES), expected)


def temporal(lam: float) -> tuple[Tensor, Tensor]:
    """Gradients at the logits and at a neuron's input, with a penalty of this strength."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 4).double()
    objective = tempreg.TRTLoss(layer, lam=lam, eta=0.0)
    x = layer(torch.randn(T, 2, 3, dtype=torch.float64))
    o = lif(x, tau=2.0) * 1.0
    grads = torch.autograd.grad(objective(o, torch.tensor([1, 3])), [o, x])
    return grads[0], grads[1]


def test_17_and_18_no_temporal_gradient_from_the_penalty() -> None:
    (with_o, with_x), (without_o, without_x) = temporal(100.0), temporal(0.0)
    torch.testing.assert_close(with_o - without_o, value(17, o=with_o), rtol=0, atol=0)
    torch.testing.assert_close(with_x, value(18, delta_without_penalty=without_x), rtol=0, atol=0)
    assert bool(with_x.any())


def test_19_reversed() -> None:
    w = torch.randn(30, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    backwards = FORMULAS[15].replace("for t in range(T)", "for t in range(T - 1, -1, -1)")
    assert backwards != FORMULAS[15]
    names = {"w": w, "sum": sum, "abs": abs, "exp": math.exp, "range": range, **NAMES}
    reverse = eval(backwards.partition(" = ")[2], names)
    torch.testing.assert_close(reverse.sum(), value(19, R=penalty(w)))


def test_20_and_21_small_and_large_weights() -> None:
    exact = {"eps": 0.0, "lam": 0.3, "decay": 0.5}
    small, large = (torch.tensor([v], dtype=torch.float64) for v in (1e-6, 1e4))
    torch.testing.assert_close(
        penalty(small, **exact), value(20, w=small, **NAMES)[0], rtol=1e-4, atol=0
    )
    got = value(21, w=large, **NAMES)[0] - 0.3 / T * 1e8
    torch.testing.assert_close(penalty(large, **exact) - 0.3 / T * 1e8, got, rtol=1e-3, atol=0)


def test_22_and_23_before_a_batch_norm() -> None:
    x = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    w = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(6))

    def gradient(scale: float) -> Tensor:
        scaled = (w * scale).requires_grad_()
        normed = F.batch_norm(x @ scaled.T, None, None, training=True, eps=1e-15)
        spikes = lif(normed.view(5, 10, 4), tau=2.0)
        return torch.autograd.grad(spikes.mul(torch.arange(4.0)).sum(), scaled)[0]

    at_w = gradient(1.0)
    assert float((w * at_w).sum()) == pytest.approx(value(22), abs=1e-10)
    assert float(at_w.abs().max()) > 1e-2
    torch.testing.assert_close(gradient(3.0), value(23, gradient_at_w=at_w, a=3.0))


def test_every_formula_has_a_test() -> None:
    assert sorted(FORMULAS) == list(range(1, 24))
    tested: set[int] = set()
    for name in (name for name in globals() if name.startswith("test_")):
        numbers = [int(n) for n in re.findall(r"_(\d+)(?=_)", name)]
        tested.update(range(numbers[0], numbers[-1] + 1) if "_to_" in name else numbers)
    assert tested == set(FORMULAS)
