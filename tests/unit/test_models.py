"""Networks: inputs, options, errors."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn

from tempreg import PLIF, create_model
from tempreg.models import MODELS
from tempreg.models.layers import TdBatchNorm2d

COMMON = {"num_classes": 4, "in_channels": 2, "num_steps": 3, "input_size": 32}


@pytest.mark.parametrize("name", MODELS)
def test_static_input_is_the_same_input_at_every_step(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, **COMMON).double()
    x = torch.randn(2, 2, 32, 32, dtype=torch.float64)
    shown = x.expand(3, *x.shape)
    for training in (False, True):
        model.train(training)
        once, each = model(x), copy.deepcopy(model)(shown)
        assert once.shape == (3, 2, 4)
        torch.testing.assert_close(once, each)


@pytest.mark.parametrize("name", MODELS)
def test_any_number_of_steps_and_options(name: str) -> None:
    options = {"neuron": "plif", "norm": "tdbn", "v_reset": None, "surrogate": "atan"}
    model = create_model(name, **COMMON, **options, detach_reset=True, backend="eager")
    assert model(torch.randn(5, 2, 2, 32, 32)).shape == (5, 2, 4)
    assert any(isinstance(m, PLIF) for m in model.modules())
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(isinstance(norm, TdBatchNorm2d) for norm in norms)
    assert any(norm.gain < 1 for norm in norms) == (name == "resnet19")


def test_tdbn_scales_by_the_threshold() -> None:
    norm = TdBatchNorm2d(3, v_threshold=0.5, alpha=1.0)
    out = norm(torch.randn(64, 3, 5, 5) * 7 + 2)
    assert out.std().item() == pytest.approx(0.5, rel=1e-2)


def test_copies_and_pickles() -> None:
    model = create_model("csnn", **COMMON).eval()
    x = torch.randn(2, 2, 32, 32)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    again = torch.load(buffer, weights_only=False)
    assert torch.equal(again(x), model(x))
    assert torch.equal(copy.deepcopy(model)(x), model(x))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("resnet91", {}, "did you mean 'resnet19'"),
        ("csnn", {"chanels": (3,)}, "csnn has no option 'chanels': did you mean 'channels'"),
        ("resnet19", {"dropout": 0.1}, "resnet19 has no option 'dropout'"),
        ("vggsnn", {"input_size": None}, "give input_size"),
        ("vggsnn", {"input_size": 8}, "too small"),
        ("csnn", {"neuron": "lfi"}, "unknown neuron"),
        ("csnn", {"neuron": "if"}, "set tau=1"),
        ("csnn", {"norm": "ln"}, "unknown norm"),
        ("csnn", {"num_steps": 0}, "num_steps must be"),
        ("csnn", {"channels": ()}, "at least one channel"),
        ("csnn", {"channels": (4, 0)}, "at least one channel"),
        ("csnn", {"tau": 0.1}, "tau must be"),
    ],
)
def test_bad_options(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        create_model(name, **{**COMMON, **options})


@pytest.mark.parametrize("shape", [(2, 32, 32), (2, 3, 32, 32), (1, 2, 3, 2, 32, 32)])
def test_bad_input_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"CSNN takes \[B, 2, H, W\]"):
        create_model("csnn", **COMMON)(torch.zeros(shape))
