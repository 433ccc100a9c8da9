"""Networks as NIR graphs: our own interpreter of NIR gives their spikes."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import nn

nir = pytest.importorskip("nir", reason="needs the package nir (tempreg[nir])")

from tempreg import create_model  # noqa: E402
from tempreg.export.errors import ExportError  # noqa: E402
from tempreg.export.nir_file import nir_graph, write_nir  # noqa: E402
from tempreg.models import SpikingNetwork  # noqa: E402
from tempreg.neurons import Neuron, StepNeuron, ThresholdLIF  # noqa: E402
from tests.nir_interpreter import Interpreter  # noqa: E402

ROUNDING = 1e-5
"""Potentials this close to the threshold may fall on its other side: weights are float32."""


def lively(name: str, size: int, **options: object) -> SpikingNetwork:
    """A network by name, see `unsettled`."""
    torch.manual_seed(3)
    return unsettled(
        create_model(name, num_classes=5, in_channels=2, num_steps=4, input_size=size, **options)
    )


Network = TypeVar("Network", bound=nn.Module)


def unsettled(model: Network) -> Network:
    """With norms far from the identity, so that folding them wrongly shows."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 0.6, 1.6)
            nn.init.uniform_(module.bias, 0.1, 0.6)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.4, 0.2)
            nn.init.uniform_(module.running_var, 0.4, 1.8)
        if isinstance(module, ThresholdLIF):
            nn.init.constant_(module.learned, 0.7)
    return model.eval()


def events(size: int, steps: int = 4, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return (torch.rand(steps, batch, 2, size, size, generator=generator) < 0.3).float()


@torch.no_grad()
def agreement(model: nn.Module, graph: nir.NIRGraph, x: torch.Tensor) -> tuple[int, int]:
    """(spikes that differ, neuron-steps) of a graph's run and the model's, in float64.

    Asserts that in every sample, what differs first lies within rounding of the threshold.
    """
    model = model.double()
    kinds = (Neuron, StepNeuron)
    neurons = [m for m in model.modules() if isinstance(m, kinds)]
    names = {m: n.replace(".", "_") for n, m in model.named_modules() if isinstance(m, kinds)}
    ours: dict[str, torch.Tensor] = {}
    handles = [
        m.register_forward_hook(lambda m, _, out: ours.update({names[m]: out})) for m in neurons
    ]
    logits = model(x.double())
    for handle in handles:
        handle.remove()
    output, spikes, potentials = Interpreter(graph, float(graph.metadata["dt"])).run(x)
    assert ours.keys() == spikes.keys()
    different = total = 0
    clean = torch.ones(x.shape[1], dtype=torch.bool)
    for name in spikes:  # in the order of the graph
        wrong = spikes[name] != ours[name].bool()
        total, different = total + wrong.numel(), different + int(wrong.sum())
        first = wrong & (wrong.cumsum(0) == 1) & clean.view(1, -1, *[1] * (wrong.ndim - 2))
        neuron = next(m for m in neurons if names[m] == name)
        threshold = neuron.spec.v_threshold
        threshold = neuron.learned if isinstance(neuron, ThresholdLIF) else threshold
        assert ((potentials[name] - threshold).abs()[first] < ROUNDING).all(), name
        clean &= ~wrong.transpose(0, 1).flatten(1).any(1)
    torch.testing.assert_close(output[:, clean], logits[:, clean], rtol=0, atol=ROUNDING)
    assert clean.any()
    return different, total


CASES = {
    "csnn": ("csnn", 11, {"channels": (6, 8)}),
    "fast leak": ("csnn", 11, {"channels": (6, 8), "tau": 1.3}),
    "no leak": ("csnn", 11, {"channels": (6, 8), "tau": 1.0}),
    "if": ("csnn", 11, {"channels": (6, 8), "tau": 1.0, "neuron": "if"}),
    "plif": ("csnn", 11, {"channels": (6, 8), "tau": 2.5, "neuron": "plif"}),
    "tdbn": ("csnn", 11, {"channels": (6, 8), "norm": "tdbn", "v_threshold": 0.7}),
    "reset": ("csnn", 11, {"channels": (6, 8), "v_reset": -0.3}),
    "no norm": ("csnn", 11, {"channels": (6, 8), "norm": "none", "v_threshold": 0.3}),
    "synaptic current": ("csnn", 11, {"channels": (6, 8), "neuron": "cuba", "tau_syn": 3.0}),
    "threshold": ("csnn", 11, {"channels": (6, 8), "neuron": "threshold"}),
    "vggsnn": ("vggsnn", 16, {"width": 16}),
    "resnet19": ("resnet19", 8, {"norm": "tdbn"}),
    "resnet19 no leak": ("resnet19", 8, {"tau": 1.0}),
    "sew_resnet18": ("sew_resnet18", 32, {"tau": 1.0}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_interpreter_gives_the_networks_spikes(case: str, tmp_path: Path) -> None:
    name, size, options = CASES[case]
    model, x = lively(name, size, **options), events(size)
    write_nir(model, tmp_path / "model.nir", input_size=(size, size))
    different, total = agreement(model, nir.read(tmp_path / "model.nir"), x)
    assert different <= 1e-3 * total
    assert [p.name for p in tmp_path.iterdir()] == ["model.nir"]


def test_every_layer_spikes_and_rests_in_these_cases() -> None:
    for case in ("csnn", "reset", "resnet19", "sew_resnet18"):
        name, size, options = CASES[case]
        graph = nir_graph(lively(name, size, **options), input_size=(size, size))
        _, spikes, _ = Interpreter(graph, 1e-3).run(events(size))
        assert all(0 < s.double().mean() < 1 for s in spikes.values()), case


def test_a_wrong_graph_is_noticed() -> None:
    name, size, options = CASES["csnn"]
    model = lively(name, size, **options)
    graph = nir_graph(model, input_size=(size, size))
    graph.nodes["body_1_conv"].bias = graph.nodes["body_1_conv"].bias + 0.01
    with pytest.raises(AssertionError):
        agreement(model, graph, events(size))


def test_units_and_shapes_are_stated(tmp_path: Path) -> None:
    model = lively("csnn", 11, channels=(6,), tau=1.5)
    write_nir(model, tmp_path / "m.nir", input_size=(11, 11))
    graph = nir.read(tmp_path / "m.nir")
    assert graph.metadata["dt"] == 1e-3
    assert graph.metadata["steps"] == 4
    assert "seconds" in graph.metadata["units"]
    neuron = graph.nodes["stem_neuron"]
    np.testing.assert_allclose(neuron.tau, 3e-3, rtol=1e-6)  # dt * 1.5 / 0.5
    assert (neuron.r == 1).all()
    assert neuron.metadata["steps_tau"] == 1.5
    assert list(graph.nodes["input"].input_type["input"]) == [2, 11, 11]
    assert graph.nodes["head"].weight.dtype == np.float32


def test_a_soft_reset_is_refused(tmp_path: Path) -> None:
    model = lively("csnn", 11, v_reset=None)
    with pytest.raises(ExportError, match="soft reset of stem_neuron"):
        write_nir(model, tmp_path / "m.nir", input_size=(11, 11))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"neuron": "alif"}, "no word for the neurons of stem_neuron, ALIF"),
        ({"neuron": "cuba", "tau_syn": 1.0}, "tau 2 and tau_syn 1 don't both"),
        ({"neuron": "cuba", "v_reset": None}, "soft reset of stem_neuron"),
    ],
)
def test_neurons_that_nir_cannot_say(options: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=said):
        write_nir(lively("csnn", 11, **options), tmp_path / "m.nir", input_size=(11, 11))
    assert not list(tmp_path.iterdir())
