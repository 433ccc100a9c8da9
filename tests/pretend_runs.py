"""Commands on the device that isn't there, in one process: see `tests.pretend_device`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, final

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy

from tempreg.cli.main import main
from tempreg.runs import analyze, calibrate, fit, importing, predict, read
from tempreg.study import process
from tests.pretend_device import NAME, PretendDevice


@final
class Accelerator(CPUAccelerator):
    """What Fabric needs of a device. Final."""

    def setup_device(self, device: torch.device) -> None:
        """Nothing but a look."""
        assert device.type == NAME


def computing_there(device: PretendDevice, patch: pytest.MonkeyPatch) -> None:
    """From now on, whatever asks which device to compute on is given this one."""
    strategy = SingleDeviceStrategy(device.place, accelerator=Accelerator())
    for module in (fit, read):
        patch.setattr(module, "build_fabric", lambda config: Fabric(strategy=strategy, devices=1))
    for module in (analyze, calibrate, fit, importing, predict, read):
        patch.setattr(module, "device_type", lambda config: NAME)


@final
class Inside:
    """In place of subprocess.Popen: `python -m tempreg WORDS`, in this process. Final."""

    def __init__(self, command: Sequence[str], *, stderr: Any, **_: Any) -> None:
        assert list(command[:3]) == [sys.executable, "-m", "tempreg"]
        before, sys.stderr = sys.stderr, stderr
        try:
            self.code = main(command[3:])
        finally:
            sys.stderr = before

    def poll(self) -> int:
        """The exit code."""
        return self.code


def studies_inside(patch: pytest.MonkeyPatch) -> None:
    """A study's runs are commands of this process."""
    inside = SimpleNamespace(Popen=Inside, DEVNULL=subprocess.DEVNULL)
    patch.setattr(process, "subprocess", inside)
