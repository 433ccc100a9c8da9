"""Peak memory of a training step, by network, precision and layout, beside the one with ReLU."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.gpu.device import Device
from benchmarks.gpu.times import dtypes, step_of
from torch import nn

from tempreg.bench.results import Results, Row

BASE = "with ReLU"
WAYS: dict[str, Callable[[], nn.Module] | None] = {"tempreg": None, BASE: nn.ReLU}


def rows(device: Device) -> list[Row]:
    """Of each network: what a step adds to what is there before it, weights of Adam included."""
    results = Results("gpu_memory")
    for name in ("csnn",) if device.small else ("vggsnn", "resnet19"):
        for dtype in dtypes(device):
            for last in (False, True):
                peaks = {}
                for way, neurons in WAYS.items():
                    step = step_of(name, device, dtype, last=last, neurons=neurons)
                    step()  # gradients and Adam's state are there from now on
                    peaks[way] = device.peak(step)
                    del step
                layout = "channels last" if last else "NCHW"
                where = f"{name}, {str(dtype)[6:]}, {layout}"
                results.values("peak memory", where, peaks, BASE, "bytes")
    return results.rows
