"""Neuron modules: state in and out, settings, and what they refuse."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tempreg import IF, LIF, PLIF, Neuron
from tempreg.functional import lif


@pytest.mark.parametrize("backend", ["reference", "eager", "auto"])
@pytest.mark.parametrize("neuron", [LIF, IF, PLIF])
@given(steps=st.integers(2, 8), data=st.data())
def test_two_halves_equal_the_whole(
    backend: str, neuron: type[Neuron], steps: int, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, steps - 1))
    x = torch.randn(steps, 3, 4, generator=torch.Generator().manual_seed(steps * 10 + cut))
    x = x.double().requires_grad_()
    module = neuron(backend=backend).double()
    state = module.initial_state(x)
    first, state = module(x[:cut], state)
    second, state = module(x[cut:], state)
    whole = module(x)
    assert torch.equal(torch.cat([first, second]), whole)
    halves = torch.autograd.grad((first.sum() + second.sum()) ** 2, x)[0]
    torch.testing.assert_close(halves, torch.autograd.grad(whole.sum() ** 2, x)[0])


def test_modules_keep_no_state() -> None:
    module, x = LIF(), torch.randn(4, 2, 3)
    before = copy.deepcopy(module.__dict__)
    first = module(x)
    assert torch.equal(module(x), first)
    assert str(module.__dict__) == str(before)
    assert not module.state_dict()


def test_first_state() -> None:
    state = LIF().initial_state(torch.ones(4, 2, 3, dtype=torch.bfloat16))
    assert state.shape == (2, 3)
    assert state.dtype == torch.float32
    assert not state.any()


def test_if_never_leaks_and_beta_is_one_over_tau() -> None:
    x = torch.full((5, 1), 0.3)
    assert IF()(x).flatten().tolist() == [0, 0, 0, 1, 0]
    assert torch.equal(IF()(x), LIF(tau=1.0)(x))
    noise = torch.randn(6, 50)
    assert torch.equal(LIF(beta=0.5)(noise), LIF(tau=2.0)(noise))
    assert LIF(beta=0.25).tau == 4.0


def test_a_larger_tau_forgets_faster() -> None:
    x = torch.tensor([[0.9], [0.5]])
    assert lif(x, tau=1.5)[1].item() == 1
    assert lif(x, tau=4.0)[1].item() == 0


def test_plif_learns_tau() -> None:
    module = PLIF(tau=3.0)
    assert module.current_tau().item() == pytest.approx(3.0)
    assert "tau=3," in repr(module)
    module(torch.randn(5, 100) + 0.5).sum().backward()
    assert module.w.grad is not None
    assert module.w.grad.abs() > 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tau": 0.5}, "tau must be"),
        ({"tau": float("nan")}, "tau must be"),
        ({"tau": 3.0, "beta": 0.5}, "tau or beta"),
        ({"beta": 0.0}, "beta = 1/tau must be"),
        ({"v_threshold": float("inf")}, "v_threshold must be"),
        ({"v_reset": float("nan")}, "v_reset must be"),
        ({"surrogate": "step"}, "unknown surrogate 'step'"),
        ({"surrogate_param": 0.0}, "surrogate_param must be"),
        ({"backend": "cuda"}, "unknown backend 'cuda'"),
    ],
)
def test_bad_settings(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LIF(**settings)


def test_plif_needs_a_leak() -> None:
    with pytest.raises(ValueError, match="tau > 1"):
        PLIF(tau=1.0)


def test_bad_inputs() -> None:
    with pytest.raises(ValueError, match="T >= 1"):
        LIF()(torch.zeros(0, 3))
    with pytest.raises(TypeError, match="floating-point"):
        LIF()(torch.zeros(2, 3, dtype=torch.int64))
    with pytest.raises(TypeError, match="16, 32 or 64 bits"):
        LIF()(torch.zeros(2, 3).to(torch.float8_e4m3fn))
    with pytest.raises(ValueError, match=r"0-d tensor, got shape \[3\]"):
        lif(torch.zeros(2, 3), tau=torch.ones(3))
    with pytest.raises(ValueError, match=r"state has shape \[4\].*\[3\]"):
        LIF()(torch.zeros(2, 3), torch.zeros(4))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_a_state_that_is_no_potential(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"the state must be a floating-point .*, got {dtype}"):
        LIF()(torch.ones(2, 3), torch.zeros(3, dtype=dtype))
