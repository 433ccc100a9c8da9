"""What a GPU would refuse, on a device that isn't there; see `tests.pretend_device`.

It runs in a process of its own: pytest again on this file, collecting other function names.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tempreg import LIF, analysis, create_model, runs
from tempreg.analysis.curvature import both_modes
from tempreg.models import SpikingNetwork, load_weights
from tempreg.objectives import (
    Making,
    Objective,
    RateLoss,
    named_objective,
)
from tempreg.objectives.base import one_hot
from tempreg.options import AugmentOptions, ObjectiveOptions
from tempreg.options.terms import ALIASES, TERMS, parse_objective
from tempreg.runs import analyze
from tempreg.runs.page import write_run_report
from tempreg.training.checkpoint import save_weights
from tests.every_analysis import ANALYSES, CLASSES, STEPS, Small
from tests.pretend_device import PretendDevice, pretend_device
from tests.pretend_runs import computing_there
from tests.spoilt import arrays
from tests.unit.limits.test_whole_runs import config


def test_on_a_device_that_is_not_there() -> None:
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-o", "python_functions=there_*", __file__]
    child = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stdout + child.stderr


@pytest.fixture
def device() -> Iterator[PretendDevice]:
    with pretend_device() as made:
        yield made


def there_it_refuses_what_a_real_one_refuses(device: PretendDevice) -> None:
    x, other = torch.rand(3).to(device.place), torch.rand(3)
    assert x.device == device.place
    for refused in (
        lambda: x + other,
        lambda: torch.stack([x.sum(), other.sum()]),
        lambda: other.add_(x),
        lambda: other.sum().add_(x.sum()),
        lambda: other[torch.zeros(1, dtype=torch.long, device=device.place)],
        lambda: torch.rand(3, device=device.place, generator=torch.Generator()),
    ):
        with pytest.raises(RuntimeError, match="device"):
            refused()
    for refused in (x.numpy, lambda: __import__("numpy").asarray(x)):
        with pytest.raises(TypeError, match="can't convert pretend:0"):
            refused()


def there_it_computes_what_the_cpu_computes(device: PretendDevice) -> None:
    seen: Counter[str] = Counter()
    device.note = lambda kind, name: seen.update([kind])
    x = torch.rand(3)
    moved = x.to(device.place)
    assert torch.equal((2 * moved + torch.tensor(1.0)).cpu(), 2 * x + 1)
    assert moved[torch.tensor([0, 2])].tolist() == x[[0, 2]].tolist()
    assert torch.zeros(2, device=device.place).device == device.place
    weight = moved.clone().requires_grad_()
    weight.square().sum().backward()
    assert weight.grad is not None
    assert weight.grad.device == device.place
    assert torch.equal(weight.grad.cpu(), 2 * x)
    assert float(moved.sum()) == float(x.sum())
    assert {"operation", "to device", "to cpu", "waits"} == set(seen)


def data(device: PretendDevice, samples: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 3, (STEPS, samples, 2, 8, 8), generator=generator).float()
    return x.to(device.place), (torch.arange(samples) % CLASSES).to(device.place)


def network(neuron: str = "lif", backend: str = "eager") -> SpikingNetwork:
    torch.manual_seed(0)
    return create_model(
        "csnn", num_classes=CLASSES, in_channels=2, num_steps=STEPS, input_size=8, tau=1.5,
        channels=(4, 6), neuron=neuron, backend=backend,
    )  # fmt: skip


def there_no_analysis_is_left_out() -> None:
    functions = {n for n in analysis.__all__ if not isinstance(getattr(analysis, n), type)}
    assert functions == ANALYSES.keys()


@pytest.mark.filterwarnings("default:`torch.jit.script` is deprecated")  # by curvlinops
@pytest.mark.parametrize(("neuron", "static"), [("lif", False), ("plif", True)])
@pytest.mark.parametrize("name", ANALYSES)
def there_analyses(device: PretendDevice, name: str, neuron: str, static: bool) -> None:
    model: nn.Module = network(neuron)
    x, y = data(device)
    if name == "surrogate_curvature":
        pytest.importorskip("curvlinops")
        model, x = Small(), x[..., :2, :2]  # it takes hundreds of passes
    if static and name != "step_transfer":
        x = x[0]
    wanted = ANALYSES[name](model, x.cpu(), y.cpu())
    found = ANALYSES[name](model.to(device.place), x, y)
    assert plain_numbers(found) == plain_numbers(wanted)


def plain_numbers(found: Any) -> str:
    """All of a result as text: equal text is equal bits, NaN included."""
    if isinstance(found, list):
        return "".join(map(plain_numbers, found))
    values = found if isinstance(found, dict) else asdict(found)
    return str(
        {k: v.tolist() if isinstance(v, (Tensor, np.ndarray)) else v for k, v in values.items()}
    )


OF_NUMBERS = "step+trt of numbers"
OBJECTIVES = [*TERMS, *ALIASES, OF_NUMBERS]
"""Every term by its name, with what it needs."""


def objective_of(name: str, model: nn.Module) -> Objective:
    """With classes weighed, where its targets are classes."""
    of_numbers, term = name == OF_NUMBERS, TERMS.get(name)
    name = "step+trt" if of_numbers else name
    if term is not None and not term.base:
        name = f"{term.needs or 'rate'}+{name}"
    options = ObjectiveOptions(lam=1e-3)
    making = Making(options, model, num_steps=STEPS, numbers=of_numbers)
    made = named_objective(parse_objective(name), making)
    if not of_numbers:
        made.weigh_classes(torch.tensor([1.0, 2.0, 0.5]))
    return made


@pytest.mark.parametrize("backend", ["eager", "reference"])
@pytest.mark.parametrize("name", OBJECTIVES)
def there_objectives_in_training_steps(device: PretendDevice, name: str, backend: str) -> None:
    results = []
    for place in (torch.device("cpu"), device.place):
        model = network("plif", backend).to(place)
        objective = objective_of(name, model)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        x, y = (tensor.to(place) for tensor in data(device))
        y = one_hot(model(x), y) if name == OF_NUMBERS else y
        for _ in range(2):
            optimizer.zero_grad()
            loss = objective(model(x), y)
            loss.backward()
            optimizer.step()
        results.append((float(loss.detach()), [p.tolist() for p in model.parameters()]))
    assert results[0] == results[1]


@pytest.fixture
def run(device: PretendDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was trained on the device, with every kind of augmentation."""
    computing_there(device, monkeypatch)
    np.savez(tmp_path / "own.npz", **arrays())
    augment = AugmentOptions(
        shift=1, rotate=5.0, shear=2.0, flip=True, cutout=2, mixup=0.5, cutmix=0.5
    )
    own = replace(config(tmp_path, epochs=2), backend="eager", augment=augment, fisher_every=1)
    runs.train(own, tmp_path / "run")
    return tmp_path / "run"


def there_a_run_from_training_to_the_page(run: Path) -> None:
    wanted = tuple(name for name in analyze.ANALYSES if name != "curvature")  # minutes
    analyze.analyze_run(run, wanted, samples=4, brief=True)
    assert runs.evaluate_run(run).accuracy_per_step
    write_run_report(run)


@pytest.mark.parametrize("backend", ["reference", "eager"])
def there_a_state_on_another_device_is_refused(device: PretendDevice, backend: str) -> None:
    here, there = torch.ones(2, 3), torch.ones(2, 3, device=device.place)
    neuron = LIF(backend=backend)
    for x, state, said in (
        (there, here[0], "the state is on cpu, but the input on pretend:0"),
        (here, there[0], "the state is on pretend:0, but the input on cpu"),
    ):
        with pytest.raises(ValueError, match=said):
            neuron(x, state)
        with both_modes(neuron), pytest.raises(ValueError, match=said):
            neuron(x, state)
    spikes, last = neuron(there, there[0])
    assert spikes.device == last.device == device.place


def there_targets_on_another_device_are_refused(device: PretendDevice) -> None:
    outputs, targets = torch.ones(2, 3, 4, device=device.place), torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match="targets are on cpu, but outputs on pretend:0"):
        RateLoss()(outputs, targets)


def there_weights_and_files_of_networks_there(device: PretendDevice, tmp_path: Path) -> None:
    model, other = (network().to(device.place) for _ in range(2))
    with torch.no_grad():
        other.head.weight.zero_()
    save_weights(tmp_path / "a.safetensors", model)
    load_weights(other, tmp_path / "a.safetensors")
    assert other.head.weight.tolist() == model.head.weight.tolist()
    pytest.importorskip("nir")
    from tempreg.export.nir_file import write_nir

    write_nir(model.eval(), tmp_path / "m.nir", input_size=(8, 8))
    assert (tmp_path / "m.nir").is_file()
