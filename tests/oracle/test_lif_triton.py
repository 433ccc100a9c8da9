"""The Triton kernels of LIF, in Triton's interpreter, against `lif_reference` and `lif_eager`."""

import importlib
import itertools
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tempreg.functional import lif
from tempreg.ops import dispatch, layout, lif_eager
from tempreg.ops.lif_autograd import LIFFunction
from tempreg.ops.lif_reference import lif_reference
from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import SURROGATE_CODES
from tests.oracle.triton_child import run_again

NEURONS = 333  # a full program and a partly masked one
SPECS = [
    LIFSpec(1.1, v_reset, surrogate, 0.7, detach)
    for surrogate, v_reset, detach in itertools.product(
        SURROGATE_CODES, (0.0, -0.2, None), (False, True)
    )
]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def test_lif_in_the_interpreter(tmp_path: Path) -> None:
    run_again(__file__, "interpreted", tmp_path)


def lif_triton() -> types.ModuleType:
    return importlib.import_module("tempreg.ops.lif_triton")


def normal(*shape: int, dtype: torch.dtype, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def assert_like_reference(x: Tensor, v0: Tensor, spec: LIFSpec) -> None:
    """Spikes and last state equal; gradients from both, of x, v0 and (by neuron) tau, close."""
    gs, gv = (normal(*a.shape, dtype=x.dtype, seed=i) for i, a in enumerate((x, v0)))
    tau = torch.tensor(1.7, dtype=x.dtype)
    inputs = [a.detach().requires_grad_() for a in (x, v0, tau.expand(v0.shape))]
    s, v = lif_reference(*inputs, spec)
    expected = torch.autograd.grad((s, v), inputs, (gs, gv))
    s_triton, v_triton = lif_triton().forward(x, v0, tau, spec)
    actual = lif_triton().backward(gs, gv, x, v0, tau, spec)
    assert 0 < s.mean() < 1
    assert torch.equal(s, s_triton)
    assert torch.equal(v, v_triton)
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= TOLERANCE[x.dtype] * theirs.abs().max()


def interpreted_interpreter_runs() -> None:
    from tempreg.ops.lif_triton_kernels import forward_kernel

    assert type(forward_kernel).__name__ == "InterpretedFunction"


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def interpreted_matches_reference(spec: LIFSpec, dtype: torch.dtype) -> None:
    for steps in (1, 3, 7):
        x = normal(steps, NEURONS, dtype=dtype, seed=2) + 0.5
        assert_like_reference(x, normal(NEURONS, dtype=dtype, seed=3), spec)


@pytest.mark.parametrize("spec", SPECS[::7], ids=str)
def interpreted_reads_repeated_input_in_place(spec: LIFSpec) -> None:
    x = (normal(3, 37, dtype=torch.float64, seed=4) + 0.5).expand(5, 3, 37)
    rows, step = layout.planes(x)
    assert step == 0
    assert rows.data_ptr() == x.data_ptr()
    assert_like_reference(x, torch.zeros(3, 37, dtype=x.dtype), spec)


@pytest.mark.parametrize("spec", SPECS[::7], ids=str)
def interpreted_accepts_any_strides(spec: LIFSpec) -> None:
    x = normal(37, 5, 3, dtype=torch.float64, seed=5).permute(1, 2, 0) + 0.5
    v0 = normal(37, 3, dtype=torch.float64, seed=6).t()
    assert_like_reference(x, v0, spec)
    assert_like_reference(x[:, :1].expand(5, 3, 37), v0, spec)
    assert_like_reference(x[:, :, :1].expand(5, 3, 37)[:1].expand(4, 3, 37), v0, spec)


@pytest.mark.parametrize("spec", SPECS[::7], ids=str)
def interpreted_serves_autograd(spec: LIFSpec) -> None:
    inputs = [
        normal(4, 50, dtype=torch.float64, seed=9).requires_grad_(),
        normal(50, dtype=torch.float64, seed=10).requires_grad_(),
        torch.tensor(1.7, dtype=torch.float64, requires_grad=True),
    ]
    gradients = []
    for s, v in (
        lif_reference(*inputs, spec), LIFFunction.apply(*inputs, spec, lif_triton(), True, False)
    ):  # fmt: skip
        gradients.append(torch.autograd.grad(s.sum() + v.sum(), inputs))  # gs and gv expanded
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch._dynamo's own
def interpreted_stays_whole_in_torch_compile() -> None:
    x = normal(4, 50, dtype=torch.float64, seed=9).requires_grad_()
    v0, tau = torch.zeros(50, dtype=x.dtype), torch.tensor(2.0, dtype=x.dtype)
    kernels = lif_triton()

    @torch.compile(backend="aot_eager", fullgraph=True)
    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        return LIFFunction.apply(2.0 * x, v0, tau, SPECS[0], kernels, True, False)

    gradients = [
        torch.autograd.grad(s.sum() + v.sum(), x)[0]
        for s, v in (run(x), lif_reference(2.0 * x, v0, tau, SPECS[0]))
    ]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter computes with numpy
@pytest.mark.parametrize("spec", SPECS, ids=str)
def interpreted_passes_nan_on(spec: LIFSpec) -> None:
    x = normal(5, 64, dtype=torch.float64, seed=7)
    v0 = normal(64, dtype=torch.float64, seed=8)
    for i, value in enumerate((float("nan"), float("inf"), float("-inf"))):
        x[1, i] = x[4, i + 3] = v0[i + 6] = value
    gs, gv, tau = torch.ones_like(x), torch.ones_like(v0), torch.tensor(2.0, dtype=x.dtype)
    ours = (*lif_triton().forward(x, v0, tau, spec),
            *lif_triton().backward(gs, gv, x, v0, tau, spec))  # fmt: skip
    theirs = (*lif_eager.forward(x, v0, tau, spec),
              *lif_eager.backward(gs, gv, x, v0, tau, spec))  # fmt: skip
    assert theirs[0].isnan().any()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12, equal_nan=True)


def interpreted_accepts_no_neurons() -> None:
    s, v = lif_triton().forward(torch.zeros(3, 0), torch.zeros(0), torch.tensor(2.0), SPECS[0])
    assert s.shape == (3, 0)
    assert v.shape == (0,)


HALF = {torch.float16: 1e-3, torch.bfloat16: 8e-3}
"""Relative to the largest gradient: half a unit in the last place there, rounded up."""


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("spec", SPECS[::5], ids=str)
def interpreted_half_goes_in_and_out(spec: LIFSpec, dtype: torch.dtype) -> None:
    """Spikes and state are those of the same numbers in float32, exactly."""
    for steps in (2, 10, 11):
        x = (normal(steps, NEURONS, dtype=torch.float64, seed=2) + 0.5).to(dtype)
        gs = normal(steps, NEURONS, dtype=torch.float64, seed=3).to(dtype)
        v0, gv = (normal(NEURONS, dtype=torch.float32, seed=i) for i in (4, 5))
        tau = torch.tensor(1.7)
        s, v = lif_triton().forward(x, v0, tau, spec)
        wanted, last = lif_eager.forward(x.float(), v0, tau, spec)
        assert s.dtype == dtype
        assert torch.equal(s.float(), wanted)
        assert torch.equal(v, last)
        gx, gv0, gtau = lif_triton().backward(gs, gv, x, v0, tau, spec)
        ours = (gx, gv0, gtau)
        theirs = lif_eager.backward(gs.float(), gv, x.float(), v0, tau, spec)
        assert gx.dtype == dtype
        for a, b, tolerance in zip(ours, theirs, (HALF[dtype], 1e-5, 1e-5), strict=True):
            assert (a.float() - b).abs().max() <= tolerance * b.abs().max()


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 11, 16, 17, 40])
def interpreted_any_number_of_timesteps(steps: int) -> None:
    spec = SPECS[steps % len(SPECS)]
    for dtype in TOLERANCE:
        x = normal(steps, 70, dtype=dtype, seed=steps) + 0.5
        assert_like_reference(x, normal(70, dtype=dtype, seed=1), spec)


@pytest.mark.parametrize("tau", [1.0, 2.0, 1.7, 1e18, 2.0**40])
def interpreted_tau_as_a_number(tau: float) -> None:
    """From a potential of zero that nobody wrote down; as if tau were a tensor, bit for bit."""
    for steps, dtype in itertools.product((4, 12), (*TOLERANCE, *HALF)):
        x = (normal(steps, 70, dtype=torch.float64, seed=2) + 0.5).to(dtype)
        gs, state = torch.ones_like(x), dispatch.state_dtype(dtype)
        zeros, as_tensor = torch.zeros(70, dtype=state), torch.tensor(tau, dtype=state)
        s, nothing = lif_triton().forward(x, None, tau, SPECS[0], last=False)
        assert nothing.numel() == 0
        assert torch.equal(s, lif_triton().forward(x, zeros, as_tensor, SPECS[0])[0])
        (gx,) = lif_triton().backward(gs, None, x, None, tau, SPECS[0], False)
        wanted = lif_triton().backward(gs, zeros, x, zeros, as_tensor, SPECS[0])
        assert torch.equal(gx, wanted[0])


def layouts() -> Iterator[Tensor]:
    """[T, B, C, H, W] in memory as networks have it."""
    for steps in (3, 12):
        x = normal(steps * 2, 4, 5, 3, dtype=torch.float64, seed=steps) + 0.5
        last = x.contiguous(memory_format=torch.channels_last)
        yield x.unflatten(0, (steps, 2))
        yield last.unflatten(0, (steps, 2))
        yield last.unflatten(0, (steps, 2))[:1].expand(steps, 2, 4, 5, 3)
        yield last.unflatten(0, (steps, 2))[::2]  # every second timestep


def interpreted_channels_last_without_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        pytest.fail("a copy was made")

    for x in layouts():
        tau, v0 = torch.tensor(1.7, dtype=x.dtype), torch.zeros(x.shape[1:], dtype=x.dtype)
        s, v = lif_eager.forward(x, v0, tau, SPECS[0])
        (gx,) = lif_eager.backward(torch.ones_like(x), v0, x, v0, tau, SPECS[0], False)
        gs = torch.ones_like(lif_triton().forward(x, None, tau, SPECS[0])[0])
        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "contiguous", refused)
            patch.setattr(torch.Tensor, "copy_", refused)
            ours = lif_triton().forward(x, None, tau, SPECS[0])
            (ours_gx,) = lif_triton().backward(gs, None, x, None, tau, SPECS[0], False)
        assert torch.equal(ours[0], s)
        assert torch.equal(ours[1], v)
        torch.testing.assert_close(ours_gx, gx, rtol=1e-12, atol=1e-12)
        assert layout.same_order(ours[0][0], x.shape[1:], x.stride()[1:])
        assert layout.same_order(ours_gx[0], x.shape[1:], x.stride()[1:])
        # A gradient that lies otherwise is brought into order.
        other = gs.transpose(3, 4).contiguous().transpose(3, 4)
        (again,) = lif_triton().backward(other, None, x, None, tau, SPECS[0], False)
        assert torch.equal(again, ours_gx)


@contextmanager
def bytes_moved() -> Iterator[list[int]]:
    """What kernels inside load and store, element by element, as the interpreter runs them."""
    from triton.runtime.interpreter import InterpreterBuilder as Builder

    moved: list[int] = []

    def counting(name: str) -> Any:
        method, at = getattr(Builder, name), 0 if name.endswith("load") else 1

        def counted(self: Any, ptrs: Any, *rest: Any) -> Any:
            places = int((rest[at].data != 0).sum())
            moved.append(places * ptrs.get_element_ty().primitive_bitwidth // 8)
            return method(self, ptrs, *rest)

        return counted

    with pytest.MonkeyPatch.context() as patch:
        for name in ("create_masked_load", "create_masked_store"):
            patch.setattr(Builder, name, counting(name))
        yield moved


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("steps", [1, 4, 10, 11, 16, 17, 40])
def interpreted_traffic_is_that_of_relu(steps: int, dtype: torch.dtype) -> None:
    """ReLU reads x and writes y; reads y and its gradient, and writes one. Above 10 timesteps every
    eighth potential is written and read, in float32."""
    neurons = 700
    x = (normal(steps, neurons, dtype=torch.float64, seed=1) + 0.5).to(dtype).requires_grad_()
    with bytes_moved() as moved, pytest.MonkeyPatch.context() as patch:
        patch.setitem(dispatch._MODULES, ("auto", "cpu"), lif_triton())
        patch.setitem(dispatch._RESOLVED, ("auto", "cpu"), "compiled")
        kept: list[Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            spikes = lif(x, tau=2.0)
        spikes.backward(torch.ones_like(spikes))
    relu = 5 * steps * neurons * x.element_size()
    wide = 2 if dtype == torch.float16 else 1  # of a potential, in elements of x
    states = (-(-steps // 8) - 1) * neurons * wide * x.element_size() if steps > 10 else 0
    assert sum(moved) == relu + 2 * states
    assert sum(moved) <= 1.1 * relu
    assert sum(t.numel() * t.element_size() for t in kept) == x.nbytes + states


@pytest.mark.parametrize("dtype", [*TOLERANCE, *HALF], ids=str)
@pytest.mark.parametrize("steps", [4, 11, 16, 17, 25])
def interpreted_what_is_kept_changes_nothing(steps: int, dtype: torch.dtype) -> None:
    """Gradients with the states that the forward pass kept, and with those found once more: bit for
    bit; and nothing is kept where nobody can ask for a gradient."""
    kernels, state = lif_triton(), dispatch.state_dtype(dtype)
    x = (normal(steps, 2, 5, 7, dtype=torch.float64, seed=1) + 0.5).to(dtype)
    for spec, given in itertools.product(SPECS[::5], (x, x.transpose(1, 2), x[:1].expand_as(x))):
        v0 = normal(*given.shape[1:], dtype=state, seed=2)
        gs, tau = normal(*given.shape, dtype=torch.float64, seed=3).to(dtype), torch.tensor(1.7)
        spikes, last, kept = kernels.forward(given, v0, tau.to(state), spec, keep=True)
        plain = kernels.forward(given, v0, tau.to(state), spec)
        assert len(plain) == 2
        assert torch.equal(spikes, plain[0])
        assert torch.equal(last, plain[1])
        assert len(kept) == (-(-steps // 8) - 1 if steps > 10 else 0)
        arguments = (gs, torch.ones_like(v0), given, v0, tau.to(state), spec, True)
        again = kernels.backward(*arguments)
        for ours, theirs in zip(kernels.backward(*arguments, kept=kept), again, strict=True):
            assert torch.equal(ours, theirs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(dispatch._MODULES, ("auto", "cpu"), kernels)
        patch.setitem(dispatch._RESOLVED, ("auto", "cpu"), "compiled")
        with bytes_moved() as moved:
            lif(x.requires_grad_(False), tau=2.0)
        assert sum(moved) == 2 * x.nbytes


def interpreted_networks_ask_for_no_more() -> None:
    """Not for the last state, nor for gradients of one."""
    asked: list[tuple[Any, ...]] = []

    class Watched(types.ModuleType):
        PLAIN = True

        @staticmethod
        def forward(x: Tensor, v0: Any, tau: Any, spec: LIFSpec, last: bool = True) -> Any:
            asked.append((x.dtype, v0, tau, last))
            return lif_triton().forward(x, v0, tau, spec, last)

        @staticmethod
        def backward(gs: Tensor, gv: Any, *rest: Any) -> Any:
            asked.append((gv, rest[-1]))
            return lif_triton().backward(gs, gv, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(dispatch._MODULES, ("auto", "cpu"), Watched("watched"))
        patch.setitem(dispatch._RESOLVED, ("auto", "cpu"), "compiled")
        x = torch.randn(4, 9).half().requires_grad_()
        lif(x, tau=2.0).sum().backward()
    assert asked == [(torch.float16, None, 2.0, False), (None, False)]
