"""The C kernel of neurons with a second state against their loop under autograd."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import tempreg
from tempreg.ops import step_c
from tests.conftest import needs_compiler

pytestmark = needs_compiler
NEURONS: dict[str, Any] = {"alif": tempreg.ALIF, "cuba": tempreg.CubaLIF}
RESETS = [(0.0, False), (0.2, True), (None, False), (None, True)]
SURROGATES = [("triangle", 1.0), ("sigmoid", 3.0), ("atan", 2.0), ("rectangle", 1.0)]


def computed(
    neuron: Any, shape: tuple[int, ...], dtype: torch.dtype
) -> tuple[list[Tensor], list[Tensor]]:
    """Spikes and last states; and the gradients of the input and the first states."""
    generator = torch.Generator().manual_seed(0)

    def drawn(size: tuple[int, ...], scale: float) -> Tensor:
        return (scale * torch.randn(size, generator=generator, dtype=torch.float64)).to(dtype)

    x = drawn(shape, 1.2).requires_grad_()
    first = tuple(drawn(shape[1:], 0.3).requires_grad_() for _ in range(2))
    spikes, last = neuron(x, first)
    loss = (spikes * drawn(shape, 1.0)).sum() + 1.3 * last[0].sum() + last[1].square().sum()
    return [spikes, *last], list(torch.autograd.grad(loss, [x, *first]))


@pytest.mark.parametrize("name", list(NEURONS))
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_it_is_the_loop(name: str, dtype: torch.dtype, near: float) -> None:
    shapes = [(1, 1), (7, 3, 5), (9, 2, 333)]
    for (v_reset, detach), (surrogate, param), shape in itertools.product(
        RESETS, SURROGATES, shapes
    ):
        made = []
        for backend in ("reference", "auto"):
            neuron = NEURONS[name](
                tau=1.7,
                v_threshold=0.6,
                v_reset=v_reset,
                detach_reset=detach,
                surrogate=surrogate,
                surrogate_param=param,
                backend=backend,
            )
            made.append(computed(neuron, shape, dtype))
        (values, gradients), (expected, wanted) = made
        assert torch.equal(values[0], expected[0])
        torch.testing.assert_close(values, expected, rtol=near, atol=near)
        torch.testing.assert_close(gradients, wanted, rtol=near, atol=10 * near)


@pytest.mark.parametrize("name", list(NEURONS))
def test_threads_and_blocks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that don't divide the neurons, and several threads."""
    alone = computed(NEURONS[name](), (3, 20_011), torch.float32)
    monkeypatch.setattr(step_c, "threads_for", lambda *_: 3)
    assert all(
        torch.equal(a, b)
        for pair in zip(alone, computed(NEURONS[name](), (3, 20_011), torch.float32), strict=True)
        for a, b in zip(*pair, strict=True)
    )


def test_where_it_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    neuron, x = tempreg.ALIF(), torch.randn(4, 6)
    taken = []
    kernel = step_c.kernel
    monkeypatch.setattr(step_c, "kernel", lambda *of: taken.append(of) or kernel(*of))
    neuron(x)
    assert len(taken) == 1
    torch.func.vmap(neuron, 1, 1)(x)
    tempreg.ALIF(backend="reference")(x)
    neuron(x.to(torch.bfloat16))  # computes in float32, which the kernel has
    assert len(taken) == 2
    with pytest.raises(ValueError, match="unknown backend 'compiled'"):
        tempreg.ALIF(backend="compiled")


def test_odd_numbers_and_sizes() -> None:
    x = torch.tensor([[float("nan"), float("inf"), 3.0]]).repeat(2, 1)
    for make in NEURONS.values():
        expected, found = (make(backend=b)(x) for b in ("reference", "auto"))
        torch.testing.assert_close(found, expected, equal_nan=True)
        assert make()(torch.zeros(3, 0)).shape == (3, 0)
    x = torch.randn(5, 4, 6).transpose(1, 2).requires_grad_()
    first, second = (tempreg.CubaLIF(backend=b)(x) for b in ("reference", "auto"))
    assert torch.equal(first, second)


def test_a_second_derivative_is_refused_with_the_kernel_and_had_without() -> None:
    x = torch.randn(4, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(tempreg.ALIF()(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="choose backend='reference'"):
        gradient.sum().backward()
    neuron = tempreg.ALIF(backend="reference", surrogate="sigmoid")
    (gradient,) = torch.autograd.grad(neuron(x).sum(), x, create_graph=True)
    gradient.sum().backward()
    assert x.grad is not None
