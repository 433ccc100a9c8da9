"""What a GPU is asked to launch, counted on one that isn't there, in Triton's interpreter."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import _disable_current_modes

from tempreg import LIF
from tempreg.functional import trt_penalty
from tempreg.ops import dispatch, penalty
from tests.oracle.test_penalty_triton import SETTINGS, weights
from tests.oracle.triton_child import run_again
from tests.pretend_device import NAME, PretendDevice, counted, of_kind, pretend_device


def test_launches_in_the_interpreter(tmp_path: Path) -> None:
    run_again(__file__, "interpreted", tmp_path)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendDevice]:
    """One that Triton's kernels run on; a launch of one is an operation."""
    with pretend_device() as made:
        kernels = importlib.import_module("tempreg.ops.lif_triton")
        for name in ("auto", "compiled"):
            monkeypatch.setitem(dispatch._RESOLVED, (name, NAME), "compiled")
            monkeypatch.setitem(dispatch._MODULES, (name, NAME), kernels)
        monkeypatch.setattr(penalty, "TOGETHER_ON", {NAME})
        executor = sys.modules["triton.runtime.interpreter"].GridExecutor
        launch = executor.__call__

        def noted(self: Any, *args: Any, **keywords: Any) -> Any:
            made.note("operation", self.fn.__name__)
            with _disable_current_modes():  # copies of the interpreter's own are no launches
                return launch(self, *args, **keywords)

        monkeypatch.setattr(executor, "__call__", noted)
        yield made


def launches(found: Any) -> list[str]:
    seen = of_kind(found, "operation")
    return sorted(name for (name, _), count in seen.items() for _ in range(count))


def interpreted_penalty_has_n_and_2_launches(device: PretendDevice) -> None:
    params = [w.detach().to(device.place).requires_grad_() for w in weights(torch.float32)[:4]]
    trt_penalty(params, **SETTINGS)  # sends the schedule
    upstream = torch.ones((), device=device.place)
    with counted(device) as found:
        value = trt_penalty(params, **SETTINGS)
        torch.autograd.grad(value, params, upstream)
    assert launches(found) == ["_foreach_mul", *["penalty_kernel"] * 4, "sum"]
    assert of_kind(found, "to device", "to cpu", "waits") == {}
    with torch.no_grad(), counted(device) as found:
        trt_penalty(params, **SETTINGS)
    assert launches(found) == [*["penalty_kernel"] * 4, "sum"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("steps", [4, 16])
def interpreted_lif_has_one_launch_each_way(
    device: PretendDevice, steps: int, dtype: torch.dtype
) -> None:
    for x in (
        torch.randn(steps, 2, 4, 5, 5).to(dtype),
        torch.randn(steps * 2, 4, 5, 5).contiguous(memory_format=torch.channels_last)
        .to(dtype).unflatten(0, (steps, 2)),
    ):  # fmt: skip
        neuron, moved = LIF(), x.to(device.place).requires_grad_()
        with counted(device) as found:
            spikes = neuron(moved)
        assert launches(found) == ["forward_kernel"]
        gs = torch.ones_like(spikes)
        with counted(device) as found:
            torch.autograd.grad(spikes, moved, gs)
        assert launches(found) == ["backward_kernel"]
