"""NIR graphs that snnTorch 1.0 and Norse 1.1 write come in with their spikes, on 100 recordings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tempreg.data import load_dataset
from tempreg.interop.nir_graphs import Driven, FromNIR
from tests.interop.framework import needs

nir = needs("nir")
pytestmark = pytest.mark.filterwarnings("ignore:nirtorch:DeprecationWarning")  # of their exports
HIDDEN, CLASSES = 40, 10


@pytest.fixture(scope="module")
def recordings() -> Tensor:
    """[T, B, 2312]."""
    return load_dataset("nmnist", num_steps=6).test.inputs(torch.arange(100)).flatten(2)


def spikes_of(network: nn.Module, x: Tensor) -> list[Tensor]:
    found: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, Driven):
            module.neurons.register_forward_hook(lambda *args: found.append(args[2]))
    with torch.no_grad():
        network(x)
    return found


def check(theirs: list[list[Tensor]], ours: list[Tensor]) -> None:
    for expected, found in zip(theirs, ours, strict=True):
        assert 0.01 < float(found.mean()) < 0.9
        assert torch.equal(torch.stack(expected), found)


def test_snntorch(recordings: Tensor, tmp_path: Any) -> None:
    snntorch = needs("snntorch")
    export = needs("snntorch.export_nir")
    torch.manual_seed(0)

    def leaky(size: int, threshold: float) -> nn.Module:
        made: nn.Module = snntorch.Leaky(
            torch.full((size,), 0.8),
            threshold=torch.full((size,), threshold),
            reset_mechanism="zero",
            reset_delay=False,
            init_hidden=True,
        )
        return made

    net = nn.Sequential(
        nn.Linear(2312, HIDDEN), leaky(HIDDEN, 0.3), nn.Linear(HIDDEN, CLASSES), leaky(CLASSES, 0.1)
    )
    nir.write(tmp_path / "net.nir", export.export_to_nir(net, recordings[0, 0]))
    needs("snntorch.utils").reset(net)
    first: list[Tensor] = []
    second: list[Tensor] = []
    with torch.no_grad():
        for frame in recordings:
            first.append(net[1](net[0](frame)))
            second.append(net[3](net[2](first[-1])))
    check([first, second], spikes_of(FromNIR(tmp_path / "net.nir"), recordings))


def test_norse(recordings: Tensor, tmp_path: Any) -> None:
    """Norse writes dt / tau_mem_inv for a time constant, 1 / tau_mem_inv times its dt of 1e-3 s: so
    its graphs have a timestep of dt^2."""
    norse = needs("norse.torch")
    torch.manual_seed(0)

    def box(size: int, threshold: float) -> nn.Module:
        p = norse.LIFBoxParameters(
            tau_mem_inv=torch.full((size,), 200.0),
            v_th=torch.full((size,), threshold),
            v_leak=torch.zeros(size),
            v_reset=torch.zeros(size),
        )
        made: nn.Module = norse.LIFBoxCell(p, dt=1e-3)
        return made

    net = norse.SequentialState(
        nn.Linear(2312, HIDDEN), box(HIDDEN, 0.3), nn.Linear(HIDDEN, CLASSES), box(CLASSES, 0.05)
    )
    nir.write(tmp_path / "net.nir", norse.to_nir(net, recordings[0, 0]))
    first: list[Tensor] = []
    second: list[Tensor] = []
    before = after = None
    with torch.no_grad():
        for frame in recordings:
            spikes, before = net[1](net[0](frame), before)
            first.append(spikes)
            spikes, after = net[3](net[2](spikes), after)
            second.append(spikes)
    check([first, second], spikes_of(FromNIR(tmp_path / "net.nir", dt=1e-6), recordings))
