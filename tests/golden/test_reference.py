"""TRT, TET and LIF against numbers from an independent implementation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tempreg import TETLoss, TRTLoss, functional
from tests.conftest import needs_compiler
from tests.golden.fill import fill, golden, relative

REFERENCE = golden("reference.json")
DTYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", REFERENCE["trt"])
def test_trt(case: dict[str, Any], dtype: torch.dtype) -> None:
    model = nn.ModuleDict(
        {"conv": nn.Conv2d(2, 3, 3), "bn": nn.BatchNorm2d(3), "head": nn.Linear(4, 5)}
    ).to(dtype)
    for seed, parameter in enumerate(model.parameters(), start=1):
        parameter.data = fill(tuple(parameter.shape), seed, 0.7).to(dtype)
    shape = (case["B"], case["T"], case["C"])
    outputs = fill(shape, case["output_seed"], case["output_scale"]).to(dtype).requires_grad_()
    settings = {name: case[name] for name in ("lam", "decay", "eps", "eta")}
    loss = TRTLoss(model, **settings, time_dim=1)(outputs, torch.tensor(case["labels"]))
    loss.backward()
    assert loss.item() == pytest.approx(case["loss"], rel=1e-6)
    assert relative(outputs.grad, case["grad_outputs"]) < 1e-6
    for name, parameter in model.named_parameters():
        if case["grad_params"][name] is None:
            assert parameter.grad is None
        else:
            assert relative(parameter.grad, case["grad_params"][name]) < 1e-6


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", REFERENCE["tet"])
def test_tet(case: dict[str, Any], dtype: torch.dtype) -> None:
    shape = (case["B"], case["T"], case["C"])
    outputs = fill(shape, case["output_seed"], case["output_scale"]).to(dtype).requires_grad_()
    criterion = TETLoss(lam=case["lam"], means=case["means"], time_dim=1)
    loss = criterion(outputs, torch.tensor(case["labels"]))
    loss.backward()
    assert loss.item() == pytest.approx(case["loss"], rel=1e-6)
    assert relative(outputs.grad, case["grad_outputs"]) < 1e-6


@pytest.mark.parametrize(
    "backend", ["reference", "eager", pytest.param("compiled", marks=needs_compiler)]
)
@pytest.mark.parametrize("case", REFERENCE["lif"])
def test_lif(case: dict[str, Any], backend: str) -> None:
    shape = (1, case["T"], case["N"])
    x = fill(shape, case["input_seed"], case["input_scale"]).float()[0].requires_grad_()
    names = ("tau", "v_threshold", "v_reset", "surrogate", "surrogate_param")
    spikes = functional.lif(x, **{name: case[name] for name in names}, backend=backend)
    spikes.backward(fill(shape, case["grad_seed"], 1.0).float()[0])
    assert spikes.flatten().tolist() == case["spikes"]
    torch.testing.assert_close(
        x.grad.flatten(), torch.tensor(case["grad_input"]), atol=1e-5, rtol=0
    )
