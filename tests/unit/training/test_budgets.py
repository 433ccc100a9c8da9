"""How much a training step may ask of a device: held to budgets on one that isn't there.

It runs in a process of its own, see `tests.unit.test_pretend_device`.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy

from tempreg import runs
from tempreg.data.augment.draws import sent
from tempreg.objectives.base import Objective
from tempreg.options import AugmentOptions, OptimizerOptions
from tempreg.runs import fit
from tempreg.training import evaluate, loop, splits
from tempreg.training.finite import NonFiniteLoss
from tempreg.training.flag import Flag
from tempreg.training.step import GradientStep
from tests.pretend_device import NAME, PretendDevice, counted, of_kind, pretend_device
from tests.spoilt import arrays
from tests.unit.limits.test_whole_runs import config

WAITING = ("to device", "to cpu", "waits")
AUGMENT = AugmentOptions(
    shift=1, roll=1, rotate=5.0, flip=True, nda=True, cutout=2, cutout_fill="black", mixup=0.5
)


def test_on_a_device_that_is_not_there() -> None:
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-o", "python_functions=there_*", __file__]
    child = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stdout + child.stderr


class Accelerator(CPUAccelerator):
    """What Fabric needs of a device. Final."""

    def setup_device(self, device: torch.device) -> None:
        assert device.type == NAME


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendDevice]:
    with pretend_device() as made:
        strategy = SingleDeviceStrategy(made.place, accelerator=Accelerator())
        monkeypatch.setattr(
            fit, "build_fabric", lambda config: Fabric(strategy=strategy, devices=1)
        )
        monkeypatch.setattr(fit, "device_type", lambda config: NAME)
        monkeypatch.setattr(loop, "REFRESH", math.inf)
        np.savez(tmp_path / "own.npz", **arrays())
        yield made


Seen = list[Counter[tuple[str, str, str]]]


@pytest.fixture
def steps(device: PretendDevice, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What each step of a run asks of the device, in order."""
    seen: Seen = []
    step = GradientStep.__call__

    def watched(self: GradientStep, *args: Any) -> bool:
        with counted(device) as found:
            stop = step(self, *args)
        seen.append(found)
        return stop

    monkeypatch.setattr(GradientStep, "__call__", watched)
    return seen


@pytest.mark.parametrize("settings", [
    {},
    {"augment": AUGMENT},
    {"augment": replace(AUGMENT, mixup=0.0, cutmix=1.0, nda=False, shear=2.0)},
    {"augment": AUGMENT, "optimizer": OptimizerOptions(name="sgd", clip_norm=1.0)},
], ids=str)  # fmt: skip
def there_nobody_waits_in_a_step(steps: Seen, tmp_path: Path, settings: dict[str, Any]) -> None:
    runs.train(replace(config(tmp_path, epochs=2), backend="eager", **settings), tmp_path / "run")
    assert len(steps) >= 4
    for found in steps[1:]:  # before the first one nothing has been sent yet
        assert of_kind(found, *WAITING) == {}
        read = of_kind(found, "to cpu later")
        assert [place.partition(":")[0] for _, place in read] == ["training/flag.py"]
        assert sum(of_kind(found, "to device later").values()) <= 3  # inputs, targets, draws


def there_nobody_waits_in_an_evaluation(
    device: PretendDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Seen = []

    def watched(*args: Any, **keywords: Any) -> evaluate.Totals:
        with counted(device) as found:
            totals = evaluate.evaluate(*args, **keywords)
        seen.append(found)
        return totals

    monkeypatch.setattr(splits, "evaluate", watched)
    runs.train(replace(config(tmp_path, epochs=1), backend="eager"), tmp_path / "run")
    assert len(seen) >= 3
    for found in seen[1:]:
        assert of_kind(found, *WAITING) == {}


def there_pixels_travel_as_they_are(device: PretendDevice, tmp_path: Path) -> None:
    sizes: list[int] = []
    wrap = fit.build_data

    def told(*args: Any) -> Any:
        data = wrap(*args)
        sizes.append(data.train.compact(torch.tensor([0])).element_size())
        assert torch.equal(
            data.train.finished(data.train.compact(torch.arange(4))),
            data.train.inputs(torch.arange(4)),
        )
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "build_data", told)
        runs.train(replace(config(tmp_path, epochs=1), backend="eager"), tmp_path / "run")
    assert sizes == [1]


class Breaks(Objective):
    """The mean of the logits, and from the third batch on not finite."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def compute(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        self.calls += 1
        return {"mean": outputs.square().mean() + (torch.inf if self.calls >= 3 else 0.0)}


@pytest.mark.parametrize("batch", [6, 8])  # the third of four, and the last one of three
def there_a_broken_loss_is_said_of_its_own_step(
    device: PretendDevice, tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence of a CPU, at the same step, with the weights that the step before left."""
    settings = replace(config(tmp_path, epochs=1), backend="eager", batch_size=batch)
    said, weights = [], []

    def kept(self: GradientStep, *args: Any) -> Any:
        weights[-1] = [p.tolist() for p in self.network.parameters()]
        return look(self, *args)

    look = GradientStep._nonfinite
    monkeypatch.setattr(GradientStep, "_nonfinite", kept)
    for place in ("there", "here"):
        with pytest.MonkeyPatch.context() as patch:
            if place == "here":
                cpu = Fabric(accelerator="cpu", devices=1)
                patch.setattr(fit, "build_fabric", lambda config, cpu=cpu: cpu)
                patch.setattr(fit, "device_type", lambda config: "cpu")
            patch.setattr(fit, "build_objective", lambda *args: Breaks())
            weights.append([])
            with pytest.raises(NonFiniteLoss) as error:
                runs.train(settings, tmp_path / place)
        said.append(str(error.value))
    assert said[0] == said[1]
    assert "batch 3 (mean inf)" in said[0]
    assert np.allclose(*(np.concatenate([np.ravel(p) for p in w]) for w in weights), rtol=1e-4)


def there_a_flag_arrives(device: PretendDevice) -> None:
    with counted(device) as found:
        flags = [Flag(torch.tensor(value, device=device.place)) for value in (True, False)]
    assert of_kind(found, "to cpu", "waits") == {}
    assert list(map(bool, flags)) == [True, False]


def there_draws_go_together(device: PretendDevice) -> None:
    drawn = [torch.arange(3), torch.rand(2, 5) < 0.5, torch.rand(7), torch.empty(0), torch.ones(())]
    with counted(device) as found:
        arrived = sent(drawn, device.place)
    assert sum(of_kind(found, "to device later").values()) == 1
    assert of_kind(found, "to device") == {}
    for there, here in zip(arrived, drawn, strict=True):
        assert there.dtype == here.dtype
        assert torch.equal(there.cpu(), here)
