"""Neurons of other libraries on a device, beside ours: LIF alone, and in a network's step.

Each is tried in a process of its own: SpikingJelly chooses its kernels from the environment when it
is imported. One that isn't installed, or can't run, is left out with its own sentence.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

import torch
from benchmarks.gpu.device import Device, present
from benchmarks.gpu.times import alternate, backward, step_of
from torch import Tensor, nn

from tempreg.bench.peers import PEERS
from tempreg.bench.results import Results
from tempreg.functional import lif

ROOT = Path(__file__).parents[2]
SECONDS = 16
"""For each; ten times as many in a dry run, in which a CPU of others computes."""


@final
class Loop(nn.Module):
    """LIF as a loop in plain torch, which everyone has: our reference."""

    def forward(self, x: Tensor) -> Tensor:
        """Spikes."""
        return lif(x, tau=2.0, backend="reference")


@final
@dataclass(frozen=True)
class Way:
    """A library's neurons, and how it is told which kernels to take.

    Attributes:
        layer: makes the module [T, *N] -> spikes.
        package: that must be installed, None for ours.
        environment: variables that it reads.
        detach_reset: whether its gradient takes the reset for a constant.
    """

    layer: Callable[[], nn.Module]
    package: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    detach_reset: bool = False


def _ways() -> dict[str, Way]:
    """SpikingJelly 2 calls its CUDA kernels "cuda"; those of version 0 came through cupy."""
    found = {"loop in plain torch": Way(Loop)}
    for peer in PEERS:
        if peer.name == "SpikingJelly":
            for kernels in ("triton", "cuda", "torch"):
                chosen = {"SJ_LIF_CUDA_IMPLEMENTATION": kernels}
                found[f"{peer.name}, {kernels}"] = Way(peer.layer, peer.package, chosen)
        elif peer.name == "snnTorch":
            found[peer.name] = Way(peer.layer, peer.package, detach_reset=peer.detach_reset)
    return found


WAYS = _ways()


def peers(kind: str) -> Iterator[dict[str, Any]]:
    """A line for each row, and one for each that was left out."""
    installed = {peer.package: peer.installed for peer in PEERS}
    seconds = SECONDS * (10 if kind == "dry" else 1)
    for name, way in WAYS.items():
        if way.package and not installed[way.package]:
            yield left_out(name, f"{way.package} is not installed")
            continue
        command = [sys.executable, "-m", "benchmarks.gpu.peers", name, kind]
        surroundings = {**os.environ, **way.environment}
        try:
            child = subprocess.run(
                command, cwd=ROOT, env=surroundings, capture_output=True, text=True,
                timeout=seconds, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            yield left_out(name, f"it was not done in {seconds} s")
            continue
        if child.returncode:
            yield left_out(name, (child.stderr.strip().splitlines() or ["it said nothing"])[-1])
            continue
        lines = [text for text in child.stdout.splitlines() if text.startswith("{")]
        yield from map(json.loads, lines)


def left_out(name: str, why: str) -> dict[str, Any]:
    """That it wasn't compared is no fault of ours."""
    return {"what": name, "ok": True, "left out": why}


def measured(name: str, device: Device) -> Iterator[dict[str, Any]]:
    """One of them beside ours; how many spikes differ is said, for others may round otherwise."""
    way = WAYS[name]
    layer = way.layer().to(device.place)

    def ours(x: Tensor) -> Tensor:
        return lif(x, tau=2.0, backend=device.backend, detach_reset=way.detach_reset)

    steps, neurons = (4, 64) if device.small else (10, 4_718_592)
    x = torch.randn(steps, neurons, generator=torch.Generator().manual_seed(0))
    x = x.to(device.place).requires_grad_()
    apart = float((ours(x) != layer(x)).float().mean().detach())
    yield {"what": f"{name}: spikes", "ok": apart < 1e-3, "share that differs": apart}
    results = Results("gpu_peers")
    works = {name: backward(layer, x), "tempreg": backward(ours, x)}
    results.times(f"LIF, T {steps}, {neurons:,} neurons", alternate(works, device, 3, 3), "tempreg")
    network = "csnn" if device.small else "vggsnn"
    works = {
        name: step_of(network, device, torch.float32, neurons=way.layer),
        "tempreg": step_of(network, device, torch.float32),
    }
    results.times(f"step of {network}", alternate(works, device, 3, 1), "tempreg")
    for row in results.rows:
        yield {"what": f"{name}: {row.setting}", "ok": True, "row": asdict(row)}


if __name__ == "__main__":
    with present(sys.argv[2]) as chosen:
        for line in measured(sys.argv[1], chosen):
            print(json.dumps(line), flush=True)
