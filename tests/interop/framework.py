"""Shared by the tests of other libraries: a network of ours that theirs must equal, and the rows
of docs/frameworks.md.

Networks are csnn of shape 2x8x8 -> conv 4, pool, conv 6, pool, linear, in float64, with T=5, B=3
and v / tau = 0.75 v.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg import analysis
from tests.golden.fill import fill, golden, relative

STEPS, BATCH, CLASSES, KEPT = 5, 3, 3, 0.75
ASK = "make test-frameworks installs and tests it"


def needs(module: str) -> Any:
    """A module of another library; the test file is skipped where it isn't installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(module.split(".")[0], reason=f"{module} is not installed: {ASK}")
        return importlib.import_module(module)


def data(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Frames [T, B, 2, 8, 8] and labels [B]."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(STEPS, BATCH, 2, 8, 8, generator=generator, dtype=torch.float64)
    return x.to(dtype), torch.tensor([0, 1, 2])


def native(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    model = tempreg.create_model(
        "csnn",
        num_classes=CLASSES,
        in_channels=2,
        num_steps=STEPS,
        input_size=8,
        channels=(4, 6),
        tau=1 / KEPT,
        **options,
    ).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1.0, 2.0)
            nn.init.uniform_(module.bias, 0.0, 0.5)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def layers(model: nn.Module) -> list[Any]:
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    return [m for m in model.modules() if isinstance(m, kinds)]


def with_weights_of(model: nn.Module, other: nn.Module, gain: float = 1.0) -> nn.Module:
    """`model` in the dtype and with the weights of `other`; neurons scale their input by `gain`."""
    model.to(_dtype(other))
    for mine, given in zip(layers(model), layers(other), strict=True):
        mine.load_state_dict(given.state_dict())
        if isinstance(mine, nn.BatchNorm2d):
            with torch.no_grad():
                mine.weight /= gain
                mine.bias /= gain
    return model


def check_equals(theirs: nn.Module, ours: nn.Module, gain: float = 1.0) -> None:
    """Logits, losses, weight gradients and analyses of the two are the same numbers."""
    rtol, atol = (1e-6, 1e-9) if _dtype(ours) == torch.float64 else (1e-3, 1e-6)
    found, expected = measured(theirs), measured(ours, gain)
    assert expected["rate"].min() > 0, "a network that is silent somewhere shows nothing"
    assert len(expected["weight shares"]) == len(expected["fisher"]) == 3
    assert found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol, atol, err_msg=name)


def measured(model: nn.Module, gain: float = 1.0) -> dict[str, Any]:
    """All that the analyses say of a network and of its convolutions and head.

    Gradients by the neurons' input are multiplied by `gain`, with which others scale it.
    """
    x, y = data(_dtype(model))
    model.eval()
    model.zero_grad()
    logits = model(x)
    assert logits.shape == (STEPS, BATCH, CLASSES)
    loss = tempreg.TRTLoss(model, lam=0.0)(logits, y)
    loss.backward()
    kinds = (nn.Conv2d, nn.Linear)
    weighted = {n: m for n, m in model.named_modules() if isinstance(m, kinds)}
    made: dict[str, Any] = {"logits": logits.detach(), "loss": loss.item()}
    for index, module in enumerate(weighted.values()):
        made[f"gradient {index}"] = module.weight.grad

    spikes = analysis.spikes(model, x, chunk=2)
    for name in ("rate", "dead", "saturated", "operations", "dense", "energy"):
        made[name] = getattr(spikes, name)
    made["accumulates"] = [kind == "AC" for kind in spikes.kinds]
    gradients = analysis.temporal_gradients(model, x, y, tempreg.TETLoss(), chunk=2)
    rows = [gradients.weights.index(f"{name}.weight") for name in weighted]
    made |= {
        "norms": gain * gradients.norms,
        "matrix": gain * gradients.matrix,
        "decay": gradients.decay,
        "weight shares": gradients.weight_shares[rows],
    }
    own = isinstance(model, tempreg.SpikingNetwork)
    assert gradients.settings["not tempreg's"] == ([] if own else gradients.layers)
    assert np.isnan(gradients.factors).all() != own
    assert np.isnan(spikes.membrane).all() != own
    fisher = analysis.fisher_information(model, x, y, chunk=2)
    made["fisher"] = fisher.per_layer[[fisher.layers.index(name) for name in weighted]]
    few = {"points": 1, "plane_points": 1, "draws": 1, "sigmas": (0.1,), "rhos": (0.1,)}
    flat = analysis.flatness(model, x, y, **few)
    assert np.isfinite(flat.noise_loss).all()
    assert np.isfinite(flat.sharpness_ascent).all()
    made["flat loss"] = flat.loss
    made["anytime"] = analysis.anytime(model, x, y).loss
    made["probes"] = analysis.linear_probes(model, (x, y), (x, y)).accuracy
    few = {"corruptions": {"noise": (0.1,)}}
    made["robustness"] = analysis.early_robustness(model, x, y, **few).accuracy
    return made


def _dtype(model: nn.Module) -> torch.dtype:
    return next(model.parameters()).dtype


def check_golden(wrapped: Callable[..., nn.Module]) -> None:
    """The golden TRT and TET losses and gradients, of the outputs that a model of theirs gives.

    `wrapped(parts, steps)` makes a model which holds the submodules `parts` and returns its input
    [T, B, C] through a layer of theirs.
    """
    reference = golden("reference.json")
    for case in reference["trt"] + reference["tet"]:
        parts = nn.ModuleDict(
            {"conv": nn.Conv2d(2, 3, 3), "bn": nn.BatchNorm2d(3), "head": nn.Linear(4, 5)}
        ).double()
        for seed, parameter in enumerate(parts.parameters(), start=1):
            parameter.data = fill(tuple(parameter.shape), seed, 0.7)
        model = wrapped(parts, case["T"]).double()
        shape = (case["B"], case["T"], case["C"])
        x = fill(shape, case["output_seed"], case["output_scale"]).transpose(0, 1)
        outputs = model(x)
        torch.testing.assert_close(outputs, x, rtol=1e-7, atol=1e-7)
        outputs = outputs.detach().requires_grad_() if not outputs.requires_grad else outputs
        outputs.retain_grad()
        if "means" in case:
            criterion: tempreg.Objective = tempreg.TETLoss(lam=case["lam"], means=case["means"])
        else:
            settings = {name: case[name] for name in ("lam", "decay", "eps", "eta")}
            criterion = tempreg.TRTLoss(model, **settings)
        loss = criterion(outputs, torch.tensor(case["labels"]))
        loss.backward()
        assert loss.item() == pytest.approx(case["loss"], rel=1e-6)
        assert relative(outputs.grad.transpose(0, 1), case["grad_outputs"]) < 1e-6
        for name, wanted in case.get("grad_params", {}).items():
            grad = parts.get_parameter(name).grad
            assert (grad is None) if wanted is None else relative(grad, wanted) < 1e-6


class Row(NamedTuple):
    """One row of docs/frameworks.md: their spikes and ours of the same input [T, N].

    `gradients`: whether those of the input are equal, too (None: not compared). `x`: the input,
    instead of the random one.
    """

    theirs: Callable[[Tensor], Tensor]
    ours: Callable[[Tensor], Tensor]
    equal: bool = True
    gradients: bool | None = None
    x: Tensor | None = None


def check_row(row: Row) -> None:
    for dtype in (torch.float64, torch.float32):
        generator = torch.Generator().manual_seed(3)
        x = torch.rand(20, 200, generator=generator, dtype=torch.float64) * 3 - 0.8
        x = (x if row.x is None else row.x).to(dtype)
        made = []
        for run in (row.theirs, row.ours):
            leaf = x.clone().requires_grad_()
            spikes = run(leaf)
            weights = torch.linspace(-1, 1, spikes.numel(), dtype=dtype).view_as(spikes)
            (gradient,) = torch.autograd.grad(spikes, leaf, weights)
            made.append((spikes.detach(), gradient))
        (theirs, their_gradient), (ours, our_gradient) = made
        if row.x is None:
            assert 0.02 < ours.mean() < 0.9, "too few or too many spikes to tell anything by"
        assert torch.equal(theirs, ours) == row.equal
        if row.gradients is not None:
            close = torch.allclose(their_gradient, our_gradient, rtol=1e-4, atol=1e-6)
            assert close == row.gradients


def documented_rows(library: str) -> list[str]:
    """First cells of the table under this library's heading in docs/frameworks.md."""
    text = (Path(__file__).parents[2] / "docs" / "frameworks.md").read_text(encoding="utf-8")
    section = re.split(r"^### ", text, flags=re.M)
    table = next(part for part in section if part.startswith(f"{library}\n"))
    cells = re.findall(r"^\| (.+?) \| .+? \| (?:yes|no).* \|$", table, flags=re.M)
    assert cells
    return cells
