"""Constants at the ends of their ranges: neurons and the penalty stay numbers, or say why not."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import tempreg
from tempreg.functional import lif, trt_penalty
from tests.conftest import needs_compiler

LARGEST = 1e18
BACKENDS = ["reference", "eager", pytest.param("compiled", marks=needs_compiler)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("surrogate", ["triangle", "sigmoid", "atan", "rectangle"])
@pytest.mark.parametrize(
    "extreme",
    [
        {"surrogate_param": 1 / LARGEST}, {"surrogate_param": LARGEST},
        {"v_threshold": LARGEST, "v_reset": None}, {"v_threshold": -LARGEST, "v_reset": None},
        {"v_threshold": LARGEST}, {"v_threshold": -LARGEST},
        {"v_reset": 1e6}, {"v_reset": -1e6}, {"tau": LARGEST}, {"tau": 1.0},
    ],
    ids=str,
)  # fmt: skip
def test_neurons_at_an_end_of_a_range_are_finite(
    backend: str, surrogate: str, extreme: dict[str, float | None]
) -> None:
    settings: dict[str, Any] = {"tau": 2.0, "surrogate": surrogate, **extreme}
    x = torch.linspace(-3, 3, 40).view(4, 10).requires_grad_()
    spikes = lif(x, backend=backend, **settings)
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    if "v_threshold" in extreme:
        assert bool(spikes[0].all()) == (settings["v_threshold"] < 0)
    (gradient,) = torch.autograd.grad(spikes.sum(), x)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"tau": 1e200}, "tau must be >= 1, at most 1e18, got .*never leaks"),
        ({"tau": math.nan}, "tau must be >= 1, at most 1e18, got .*never leaks"),
        ({"v_threshold": 1e200}, r"v_threshold must be in \[-1e18, 1e18\]"),
        ({"v_threshold": math.inf}, r"v_threshold must be in \[-1e18, 1e18\]"),
        ({"v_reset": -1e200}, r"v_reset must be in \[-1e18, 1e18\] or null"),
        ({"surrogate_param": 1e-200}, r"surrogate_param must be in \[1e-18, 1e18\]"),
        ({"surrogate_param": math.nan}, r"surrogate_param must be in \[1e-18, 1e18\]"),
        ({"beta": 5e-324}, "tau must be >= 1, at most 1e18, got .*never leaks"),
        ({"beta": 0.0}, "beta = 1/tau must be in"),
    ],
)
def test_constants_beyond_are_refused(settings: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        tempreg.LIF(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("decay", [0.0, 0.5, 3.0, 1e300])
@pytest.mark.parametrize("eps", [0.0, 1e-5, 1e6])
@pytest.mark.parametrize("steps", [1, 512])
def test_the_penalty_is_that_of_float64_wherever_it_can_be_asked_for(
    decay: float, eps: float, steps: int
) -> None:
    found = []
    for dtype in (torch.float32, torch.float64):
        w = torch.tensor([-1e6, -3.0, -1e-3, 0.0, 1e-6, 0.5, 1e6], dtype=dtype, requires_grad=True)
        value = trt_penalty([w], num_steps=steps, lam=0.1, decay=decay, eps=eps)
        (slope,) = torch.autograd.grad(value, w, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), w)
        found.append((value.detach(), slope.detach(), curvature))
        assert all(torch.isfinite(x).all() for x in found[-1])
        assert (curvature >= 0).all()
    for single, double in zip(*found, strict=True):
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-30)


def test_an_eps_that_would_overflow_is_refused() -> None:
    with pytest.raises(ValueError, match=r"eps must be in \[0, 1e6\], got 1e\+30"):
        trt_penalty([torch.ones(1)], num_steps=2, eps=1e30)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_never_becomes_a_silent_zero(backend: str) -> None:
    x = torch.zeros(3, 2)
    x[1, 0] = math.nan
    spikes = lif(x, tau=2.0, backend=backend)
    assert spikes[1:, 0].isnan().all()
    assert not spikes[:, 1].isnan().any()
