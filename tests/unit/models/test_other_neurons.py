"""Networks by name with neurons beyond LIF, from the setting to every command."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tempreg
from tempreg.cli.main import main
from tempreg.config import PRESETS, RunConfig, config_to_dict
from tempreg.runs.identity import chosen

pytestmark = pytest.mark.usefixtures("without_pictures")

SMALL = {"num_classes": 3, "in_channels": 2, "num_steps": 4, "input_size": 8, "channels": (4, 6)}
Said = pytest.CaptureFixture[str]


def network(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    return tempreg.create_model("csnn", **SMALL, **options).double()


def learned(model: nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits in training, and the gradients of all weights."""
    x = torch.rand(5, 3, 2, 8, 8, generator=torch.Generator().manual_seed(1)).double() * 2
    logits = model(x)
    logits.square().mean().backward()
    weights = [p for n, p in model.named_parameters() if "neuron" not in n]
    return logits.detach(), [p.grad for p in weights if p.grad is not None]


@pytest.mark.parametrize(
    "options",
    [
        {"neuron": "alif", "jump": 0.0},
        {"neuron": "alif", "jump": 0.0, "backend": "reference"},
        {"neuron": "cuba", "tau_syn": 1e18},  # a current that is gone after its timestep
        {"neuron": "threshold"},
    ],
)
def test_each_is_lif_where_its_constants_make_it_so(options: dict[str, Any]) -> None:
    common = {"tau": 1.5, "v_threshold": 0.7, "v_reset": None, "detach_reset": True}
    logits, gradients = learned(network(**common))
    found, slopes = learned(network(**common, **options))
    torch.testing.assert_close(found, logits)
    for slope, gradient in zip(slopes, gradients, strict=True):
        torch.testing.assert_close(slope, gradient)


def test_constants_reach_the_neurons() -> None:
    alif = network(neuron="alif", rho=0.5, jump=0.3, tau=1.2, surrogate="atan").stem_neuron
    assert isinstance(alif, tempreg.ALIF)
    assert (alif.rho, alif.jump, alif.tau, alif.spec.surrogate) == (0.5, 0.3, 1.2, "atan")
    cuba = network(neuron="cuba", tau_syn=4.0, backend="reference").stem_neuron
    assert isinstance(cuba, tempreg.CubaLIF)
    assert (cuba.tau_syn, cuba.backend) == (4.0, "reference")
    model = network(neuron="threshold", v_threshold=0.4)
    assert sum(name.endswith("neuron.learned") for name, _ in model.named_parameters()) == 2
    penalised = tempreg.objectives.selected_parameters(model, "paper")
    assert penalised
    assert not any("learned" in name for name in penalised)  # no penalty pulls at a threshold


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rho": 0.5}, "rho 0.5 is a constant of the neuron alif, and this network's is lif"),
        ({"neuron": "alif", "tau_syn": 3.0}, "of the neuron cuba, and this network's is alif"),
        ({"neuron": "alif", "rho": 1.5}, r"rho must be in \[0, 1\], got 1.5"),
        ({"neuron": "cuba", "backend": "compiled"}, "cuba has the backends auto and reference"),
        ({"neuron": "recurrent"}, "choose one of lif, plif, if, alif, cuba, threshold"),
    ],
)
def test_what_a_neuron_does_not_have_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        network(**options)


def test_runs_of_before_are_the_runs_that_they_were() -> None:
    """New settings have defaults, which no digest of a run holds."""
    for preset in PRESETS.values():
        named = chosen(preset())
        assert not {"model.rho", "model.jump", "model.tau_syn", "model.neuron"} & named.keys()
    assert config_to_dict(RunConfig())["model"]["neuron"] == "lif"


@pytest.mark.parametrize("neuron", ["alif", "cuba", "threshold"])
def test_a_run_goes_through_every_command(neuron: str, tmp_path: Path, capsys: Said) -> None:
    run = str(tmp_path / "run")
    few = ["--data.train-size", "60", "--data.size", "10", "--augment.shift", "0"]
    small = [*few, "--model.channels", "[4,6]", "--num-steps", "3", "--epochs", "1"]
    small += ["--model.v-threshold", "0.3"]
    words = ["train", "nmnist-trt", "--model.neuron", neuron, *small, "--out", run]
    assert main(words) == 0
    assert f"neuron: {neuron}\n" in (tmp_path / "run" / "config.yaml").read_text()
    assert main(["analyze", run, "gradients", "spikes", "--samples", "4"]) == 0
    for file in (tmp_path / "run" / "analysis").glob("gradients-*.json"):
        result = json.loads(file.read_text())
        assert len(result["layers"]) == 2
    capsys.readouterr()
    assert main(["export", run, "--format", "c"]) == 2
    assert "LIF, IF and PLIF neurons, not" in capsys.readouterr().err

    network = tempreg.load(run)
    frames = torch.rand(3, 5, 2, 10, 10).round()
    assert network(frames).std(0).max() > 0  # it spikes, now more and now less
    stream = tempreg.Stream(network)
    assert stream.backend == "torch"
    with torch.no_grad():
        means = network(frames).cumsum(0) / torch.arange(1, 4)[:, None, None]
    for frame, mean in zip(frames, means, strict=True):
        torch.testing.assert_close(stream.step(frame).mean, mean)
    if find_spec("nir") is not None:
        code = main(["export", run, "--format", "nir"])
        said = capsys.readouterr()
        assert code == (2 if neuron == "alif" else 0), said.err
        assert (neuron == "alif") == ("NIR has no word for the neurons" in said.err)
    program = str(tmp_path / "model.pt2")
    assert main(["export", run, "--format", "torch", "--out", program]) == 0
    exported = torch.export.load(program).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(frames), network(frames))
