"""The audit of other libraries' networks: planted faults found, sound ones without an alarm."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

import tempreg
from tempreg.audit.energy import access
from tempreg.audit.operations import observe
from tempreg.audit.subject import Subject, reset
from tests.interop.audited import CASES, given
from tests.interop.framework import needs

MODULES = {
    "SpikingJelly": "spikingjelly.activation_based.neuron",
    "snnTorch": "snntorch",
    "Norse": "norse.torch",
    "sinabs": "sinabs.layers",
}


@pytest.mark.parametrize("name", CASES)
def test_faults_are_found_and_sound_networks_pass(name: str) -> None:
    case = CASES[name]
    needs(MODULES[case.library])
    torch.manual_seed(0)
    audit = tempreg.audit(case.make(), given())
    if case.kind is None:
        assert audit.passed, audit.table()
        return
    for kind in case.kind.split():
        assert not audit.checks[kind].passed, audit.table()
        assert audit.checks[kind].layer == case.layer, audit.table()


def test_operations_are_those_that_spikingjelly_counts() -> None:
    """Its SynOpCounter counts accumulations by spikes. Memory costs what its Lemaire model says,
    but that this takes Horowitz's figures for accesses of 32 bits, and he gives them for 64."""
    counting = needs("spikingjelly.activation_based.op_counter")
    torch.manual_seed(0)
    net = CASES["SpikingJelly, two layers"].make()
    x = (given() > 0).float()[:, :2]
    layers, _ = observe(Subject(net, x, per_step=False, seed=0))
    reset(net)
    counter = counting.SynOpCounter()
    with torch.no_grad(), counting.DispatchCounterMode([counter]):
        net(x)
    assert counter.get_total() == sum(layer.done for layer in layers.values())
    theirs = counting.LemaireEnergyCostConfig()
    for size in (100, 8192, 20_000, 300_000, 1 << 21):
        assert access(size, 64) == pytest.approx(4 * theirs.memory_cost_pj(size))


@pytest.mark.parametrize("name", ["spikingjelly", "snntorch", "norse", "sinabs"])
def test_the_examples_of_other_libraries_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(name)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples" / "frameworks"))
    torch.manual_seed(0)
    model = importlib.import_module(f"{name}_trt").network()
    steps = importlib.import_module("loop").NUM_STEPS
    audit = tempreg.audit(model, torch.rand(steps, 2, 2, 34, 34))
    assert audit.passed, audit.table()
