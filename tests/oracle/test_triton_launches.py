"""What a GPU is asked to launch, counted on one that isn't there, in Triton's interpreter."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes

from tempreg import LIF, create_model
from tempreg.functional import trt_penalty
from tempreg.models import fused
from tempreg.models.layers import ConvNorm, norm_factory
from tempreg.ops import dispatch, norm_lif, penalty
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
        passes = importlib.import_module("tempreg.ops.norm_triton")
        monkeypatch.setitem(norm_lif._PASSES, NAME, passes)
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def interpreted_norm_and_lif_have_three_launches_each_way(
    device: PretendDevice, dtype: torch.dtype
) -> None:
    """Beside the one that counts batches; and one without statistics of the batch's own. What comes
    from a convolution in channels last stays so, and is copied nowhere."""
    unit = ConvNorm(3, 4, norm_factory("bn", 1.0, 1)).to(device.place)
    images = torch.randn(8, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    current = unit.conv(images.to(device.place)).detach().to(dtype).unflatten(0, (4, 2))
    neuron = LIF()
    assert fused.applies(current, unit.norm, neuron, 4)
    current.requires_grad_()
    with counted(device) as found:
        spikes = fused.normed_spikes(current, unit.norm, 1.0, neuron, 4)
    assert launches(found) == ["add_", "combined_kernel", "forward_kernel", "statistics_kernel"]
    gs, leaves = torch.ones_like(spikes), [current, *unit.norm.parameters()]
    with counted(device) as found_back:
        torch.autograd.grad(spikes, leaves, gs)
    assert launches(found_back) == ["backward_kernel", "backward_kernel", "summed_kernel"]
    assert of_kind(found + found_back, "to device", "to cpu", "waits") == {}
    unit.eval()
    with torch.no_grad(), counted(device) as found:
        fused.normed_spikes(current, unit.norm, 1.0, neuron, 4)
    assert launches(found) == ["forward_kernel"]


def interpreted_one_pass_is_for_what_its_kernels_take(device: PretendDevice) -> None:
    norm, x = nn.BatchNorm2d(4).to(device.place), torch.randn(11, 2, 4, 3, 3).to(device.place)
    assert fused.applies(x[:10], norm, LIF(), 10)
    assert fused.applies(x[:10].half(), norm, LIF(), 10)
    assert not fused.applies(x, norm, LIF(), 11)  # no registers
    assert not fused.applies(x[:10], norm, LIF(backend="eager"), 10)
    assert not fused.applies(x[:10].half(), norm.half(), LIF(), 10)
    assert not fused.applies(x[:10], nn.BatchNorm2d(4, momentum=None).to(device.place), LIF(), 10)


def interpreted_a_network_trains_through_the_one_pass(device: PretendDevice) -> None:
    """As on a CPU with norm and neurons one after the other, to rounding."""
    x, gradients = torch.rand(3, 4, 2, 8, 8, generator=torch.Generator().manual_seed(0)), []
    for place in (torch.device("cpu"), device.place):
        torch.manual_seed(0)
        model = create_model(
            "csnn", num_classes=3, in_channels=2, num_steps=3, input_size=8, channels=(4, 6),
            backend="eager" if place.type == "cpu" else "auto",
        ).to(place, torch.float64)  # fmt: skip
        model(x.to(place, torch.float64)).square().sum().backward()
        gradients.append([p.grad.cpu() for p in model.parameters()])
        gradients[-1] += [b.cpu() for b in model.buffers()]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
