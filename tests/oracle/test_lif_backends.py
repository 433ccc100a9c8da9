"""Every backend against the autograd loop that defines LIF, and that loop against a sum."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tempreg.ops.dispatch import lif
from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import DERIVATIVES
from tests.conftest import needs_compiler

FAST = ["eager", pytest.param("compiled", marks=needs_compiler)]
SPECS = st.builds(
    LIFSpec,
    v_threshold=st.floats(0.2, 2.0),
    v_reset=st.sampled_from([0.0, -0.3, 0.1, None]),
    surrogate=st.sampled_from(list(DERIVATIVES)),
    surrogate_param=st.floats(0.3, 6.0),
    detach_reset=st.booleans(),
)
SHAPES = st.sampled_from([(), (1,), (17,), (3, 5), (2, 1, 33), (1500,), (0,), (2, 0)])
Result = list[Tensor]


@pytest.fixture(autouse=True)
def poisoned_memory() -> Iterator[None]:
    """Fresh memory holds NaN, so that reading what nobody wrote shows."""
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


def run(backend: str, x: Tensor, v0: Tensor, tau: Tensor, spec: LIFSpec, seed: int) -> Result:
    """Spikes, last state, and the gradients of x, v0 and tau for random upstream gradients."""
    leaves = [t.clone().requires_grad_() for t in (x, v0, tau)]
    spikes, v = lif(*leaves, spec, backend)
    draws = torch.Generator().manual_seed(seed)
    upstream = [torch.randn(t.shape, generator=draws, dtype=t.dtype) for t in (spikes, v)]
    total = (spikes * upstream[0]).sum() + (v * upstream[1]).sum()
    return [spikes, v, *torch.autograd.grad(total, leaves)]


def inputs(steps: int, shape: tuple[int, ...], tau: float, dtype: torch.dtype, seed: int) -> Result:
    draws = torch.Generator().manual_seed(seed)
    x = 1.5 * torch.randn((steps, *shape), generator=draws, dtype=torch.float64)
    v0 = 0.5 * torch.randn(shape, generator=draws, dtype=torch.float64)
    return [x.to(dtype), v0.to(dtype), torch.tensor(tau, dtype=dtype)]


@pytest.mark.parametrize("backend", FAST)
@given(
    spec=SPECS,
    shape=SHAPES,
    steps=st.integers(1, 9),
    tau=st.floats(1.0, 5.0),
    seed=st.integers(0, 10**6),
)
def test_equal_in_float64(
    backend: str, spec: LIFSpec, shape: tuple[int, ...], steps: int, tau: float, seed: int
) -> None:
    args = inputs(steps, shape, tau, torch.float64, seed)
    actual, expected = (run(name, *args, spec, seed) for name in (backend, "reference"))
    assert torch.equal(actual[0], expected[0])
    for a, e in zip(actual[1:], expected[1:], strict=True):
        torch.testing.assert_close(a, e, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("backend", FAST)
@given(
    spec=SPECS,
    neurons=st.sampled_from([1, 63, 64, 130, 200]),
    steps=st.integers(1, 17),
    tau=st.sampled_from([0.5, 1.0, 2.0, 4.0, 3.0]),
    started=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_as_a_network_asks_for_it(
    backend: str, spec: LIFSpec, neurons: int, steps: int, tau: float, started: bool, seed: int
) -> None:
    """The gradient of x alone, which has a pass of its own in C where 1 / tau is exact."""
    x, v0, tau_tensor = inputs(steps, (neurons,), tau, torch.float64, seed)
    results = []
    for name in (backend, "reference"):
        x.requires_grad_().grad = None
        spikes, v = lif(x, v0 if started else None, tau_tensor, spec, name)
        ((spikes * x.detach()).sum() + (v * v0).sum() * started).backward()
        results.append([spikes, v, x.grad])
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    torch.testing.assert_close(results[0][2], results[1][2], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("surrogate", DERIVATIVES)
def test_equal_in_float32(backend: str, surrogate: str) -> None:
    spec = LIFSpec(surrogate=surrogate, surrogate_param=1.5)
    args = inputs(6, (4, 700), 2.0, torch.float32, 3)
    actual, expected = (run(name, *args, spec, 5) for name in (backend, "reference"))
    assert torch.equal(actual[0], expected[0])
    assert torch.equal(actual[1], expected[1])
    for a, e in zip(actual[2:4], expected[2:4], strict=True):
        torch.testing.assert_close(a, e, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(actual[4], expected[4], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", ["reference", *FAST])
def test_the_threshold_itself_is_not_crossed(backend: str) -> None:
    x = torch.tensor([[1.0, 1.0000001, 0.9999999], [0.5, 0.0, 0.5]])
    spikes, v = lif(x, None, 2.0, LIFSpec(), backend)
    assert spikes.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert v[0] == 1.0


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("tau", [1.1, 3.0, 7.0])
def test_true_division_in_float32(backend: str, tau: float) -> None:
    """v * (1 / tau) and v / tau differ in the last bit; the state shows it."""
    x, v0, _ = inputs(12, (5000,), tau, torch.float32, 8)
    tau_tensor = torch.tensor(tau)
    states = [lif(x, v0, tau_tensor, LIFSpec(), name)[1] for name in (backend, "reference")]
    assert torch.equal(*states)
    assert not torch.equal(v0 / tau_tensor, v0 * (1 / tau_tensor))


@pytest.mark.parametrize("backend", FAST)
def test_partly_expanded_tensors(backend: str) -> None:
    x, _, tau = inputs(3, (4, 6), 2.0, torch.float64, 2)
    v0 = torch.randn(4, 1, dtype=torch.float64).expand(4, 6)
    odd = torch.randn(6, 4, dtype=torch.float64).T.expand(3, 4, 6)
    for current in (x, odd):
        actual, expected = (
            run(name, current, v0, tau, LIFSpec(), 1) for name in (backend, "reference")
        )
        for a, e in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, e)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (1, 2), (0, 2)])
def test_gradients_of_some_inputs_alone(backend: str, wanted: tuple[int, ...]) -> None:
    args = inputs(4, (30,), 1.5, torch.float64, 6)
    gradients = []
    for name in (backend, "reference"):
        leaves = [a.clone().requires_grad_(i in wanted) for i, a in enumerate(args)]
        spikes, v = lif(*leaves, LIFSpec(), name)
        total = (spikes * args[0]).sum() + v.square().sum()
        gradients.append(torch.autograd.grad(total, [leaves[i] for i in wanted]))
    for a, e in zip(*gradients, strict=True):
        torch.testing.assert_close(a, e)


@needs_compiler
def test_sigmoid_in_the_kernel_is_accurate_to_float32() -> None:
    """One step from v = 0: the gradient of x is the surrogate derivative itself."""
    u = torch.cat([torch.linspace(-30, 30, 20_001), torch.tensor([1e-30, 88.0, 1e30])])
    x = (u + 1.0)[None].requires_grad_()
    lif(x, None, 1.0, LIFSpec(surrogate="sigmoid"), "compiled")[0].sum().backward()
    exact = DERIVATIVES["sigmoid"](x.detach().double() - 1.0, 1.0)
    torch.testing.assert_close(x.grad.double(), exact, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("backend", FAST)
def test_many_threads_and_long_sequences(backend: str) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for steps, neurons in ((200, 300), (3, 40_000)):
            args = inputs(steps, (neurons,), 1.25, torch.float64, 1)
            spec = LIFSpec(surrogate="atan", surrogate_param=2.0)
            actual, expected = (run(name, *args, spec, 2) for name in (backend, "reference"))
            assert torch.equal(actual[0], expected[0])
            for a, e in zip(actual[1:], expected[1:], strict=True):
                torch.testing.assert_close(a, e, rtol=1e-9, atol=1e-9)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("backend", FAST)
def test_inputs_that_are_not_contiguous(backend: str) -> None:
    x, v0, tau = inputs(4, (6, 10), 2.0, torch.float64, 0)
    spec = LIFSpec()
    expected = run("reference", x, v0, tau, spec, 1)
    transposed = x.movedim(0, -1).contiguous().movedim(-1, 0)
    assert not transposed.is_contiguous()
    for a, e in zip(run(backend, transposed, v0, tau, spec, 1), expected, strict=True):
        torch.testing.assert_close(a, e)


@pytest.mark.parametrize("backend", FAST)
def test_one_input_expanded_over_time(backend: str) -> None:
    once = torch.randn(1, 3, 50, dtype=torch.float64)
    grads = []
    for name in (backend, "reference"):
        leaf = once.clone().requires_grad_()
        spikes, _ = lif(leaf.expand(5, 3, 50), None, 2.0, LIFSpec(), name)
        (spikes * torch.arange(5.0)[:, None, None]).sum().backward()
        grads.append((spikes, leaf.grad))
    assert torch.equal(grads[0][0], grads[1][0])
    torch.testing.assert_close(grads[0][1], grads[1][1])


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("asked", ["spikes", "state", "both", "nothing"])
def test_gradients_of_one_output_alone(backend: str, asked: str) -> None:
    x, v0, tau = inputs(4, (70,), 1.5, torch.float64, 4)
    gradients = []
    for name in (backend, "reference"):
        leaf = x.clone().requires_grad_()
        spikes, v = lif(leaf, v0, tau, LIFSpec(), name)
        parts = {"spikes": spikes.sum() * 2, "state": v.square().sum(), "nothing": leaf.sum()}
        parts["both"] = parts["spikes"] + parts["state"]
        gradients.append(torch.autograd.grad(parts[asked], leaf)[0])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("backend", ["reference", *FAST])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_has_a_float32_state(backend: str, dtype: torch.dtype) -> None:
    x = (torch.randn(5, 40) * 2).to(dtype).requires_grad_()
    spikes, v = lif(x, None, 2.0, LIFSpec(), backend)
    full, v_full = lif(x.detach().float(), None, 2.0, LIFSpec(), "reference")
    assert spikes.dtype == dtype
    assert v.dtype == torch.float32
    assert torch.equal(spikes.float(), full)
    assert torch.equal(v, v_full)
    spikes.sum().backward()
    assert x.grad.dtype == dtype


@pytest.mark.parametrize("backend", ["reference", *FAST])
@pytest.mark.parametrize("v_reset", [0.0, None])
def test_nan_and_inf_are_not_hidden(backend: str, v_reset: float | None) -> None:
    x = torch.zeros(3, 4)
    x[1] = torch.tensor([math.nan, math.inf, -math.inf, 2.0])
    x.requires_grad_()
    spikes, v = lif(x, None, 2.0, LIFSpec(v_reset=v_reset), backend)
    assert spikes[1:, 0].isnan().all()
    assert spikes[:, 3].tolist() == [0.0, 1.0, 0.0]
    assert v[0].isnan()
    assert not v[1].isfinite()
    assert v[2] == -math.inf
    (gradient,) = torch.autograd.grad(spikes.sum(), x)
    assert gradient[1, 0].isnan()
    assert gradient[:, 3].isfinite().all()


@pytest.mark.parametrize("name", DERIVATIVES)
def test_surrogates_integrate_to_one(name: str) -> None:
    u = torch.linspace(-4000, 4000, 4_000_001, dtype=torch.float64)
    for param in (0.5, 1.0, 4.0):
        area = torch.trapezoid(DERIVATIVES[name](u, param), u)
        assert area.item() == pytest.approx(1.0, abs=5e-3)


def test_reference_gradient_is_the_written_out_chain_rule() -> None:
    """T = 2, soft reset: d(s0 + s1)/dx0 = phi0 + phi1 (1 - v_th phi0) / tau, by hand."""
    x = torch.tensor([[0.8], [0.9]], dtype=torch.float64, requires_grad=True)
    spikes, _ = lif(x, None, 2.0, LIFSpec(v_reset=None), "reference")
    spikes.sum().backward()
    phi0 = 1 - abs(0.8 - 1)
    phi1 = 1 - abs(0.8 / 2 + 0.9 - 1)
    expected = [phi0 + phi1 * (1 - phi0) / 2, phi1]
    assert x.grad.flatten().tolist() == pytest.approx(expected, rel=1e-12)
