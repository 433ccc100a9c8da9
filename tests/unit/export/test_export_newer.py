"""Transformers, MS-ResNet-18, rsnn, norms over time: written where a format can say them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

nir = pytest.importorskip("nir", reason="nir is not installed: pip install tempreg[nir]")

import tempreg  # noqa: E402
from tempreg.errors import RequestError  # noqa: E402
from tempreg.export.c.graph import check_known  # noqa: E402
from tempreg.models import MODELS  # noqa: E402
from tests.nir_interpreter import Interpreter  # noqa: E402

SMALL = {"width": 16, "heads": 2, "depth": 1}
X = (torch.rand(4, 2, 2, 16, 16, generator=torch.Generator().manual_seed(0)) < 0.3).float()


def firing(name: str, **options: Any) -> tempreg.SpikingNetwork:
    torch.manual_seed(0)
    model = tempreg.create_model(
        name, num_classes=5, in_channels=2, num_steps=4, input_size=16, v_threshold=0.2, **options
    )
    for _ in range(10):
        model(X)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ms_resnet18", {"width": 8}),
        ("rsnn", {"channels": (8, 8), "recurrent": False, "norm": "none"}),
    ],
)
def test_nir_of_those_that_it_can_say(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    model = firing(name, **options)
    tempreg.export.nir(model, tmp_path / "net.nir", input_shape=(2, 16, 16))
    expected, spikes, _ = Interpreter(nir.read(tmp_path / "net.nir"), 1e-3).run(X)
    with torch.no_grad():
        torch.testing.assert_close(model.double()(X.double()), expected, rtol=1e-4, atol=1e-4)
    assert sum(float(s.double().sum()) for s in spikes.values()) > 0


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("spikformer", SMALL, r"flatten \(in blocks\.0\.attention\) has no form in NIR"),
        ("spike_driven_transformer", SMALL, "max pooling has a form in NIR for spikes alone"),
        ("rsnn", {"channels": (8,)}, "NIR has no word for the neurons of neurons.0, RecurrentLIF"),
        ("csnn", {"channels": (4,), "norm": "tab"}, "parameters of their own for each timestep"),
    ],
)
def test_the_others_are_refused_by_name_and_go_to_torch(
    name: str, options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    model = firing(name, **options)
    with pytest.raises(RequestError, match=words):
        tempreg.export.nir(model, tmp_path / "net.nir", input_shape=(2, 16, 16))
    with pytest.raises(RequestError, match="C is written of the networks csnn, vggsnn"):
        check_known(model)
    assert not list(tmp_path.iterdir())
    tempreg.export.torch(model, X, tmp_path / "net.pt2")
    again = torch.export.load(tmp_path / "net.pt2").module()
    with torch.no_grad():
        torch.testing.assert_close(again(X), model(X))


@pytest.mark.parametrize("name", MODELS)
def test_c_takes_the_networks_that_its_refusal_names(name: str) -> None:
    own = {"width": 64, "heads": 1} if "former" in name or "driven" in name else {}
    with torch.device("meta"):
        model = tempreg.create_model(
            name, num_classes=3, in_channels=2, num_steps=2, input_size=64, **own
        )
        alif = tempreg.create_model(
            "csnn", num_classes=3, in_channels=2, num_steps=2, input_size=64, neuron="alif"
        )
    with pytest.raises(RequestError) as told:
        check_known(alif)
    if name in re.findall(r"\w+", str(told.value)):
        check_known(model)
    else:
        with pytest.raises(RequestError, match=type(model).__name__):
            check_known(model)
