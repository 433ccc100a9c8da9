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

JOINED = ("resnet19", "ms_resnet18", "spike_driven_transformer")
"""Networks that add norms' outputs, which tdbn therefore makes smaller."""
SMALL: dict[str, dict[str, object]] = {
    "spikformer": {"width": 32, "depth": 1, "heads": 2},
    "spike_driven_transformer": {"width": 32, "depth": 1, "heads": 2},
    "qkformer": {"width": 32, "depth": 3, "heads": 2},
    "ms_resnet18": {"width": 8},
    "vggsnn": {"width": 8},
    "rsnn": {"channels": (16, 16)},
}
COMMON = {"num_classes": 4, "in_channels": 2, "num_steps": 3, "input_size": 32}


@pytest.mark.parametrize("name", MODELS)
def test_static_input_is_the_same_input_at_every_step(name: str) -> None:
    torch.manual_seed(0)
    size = 32 if name in ("csnn", "vggsnn") else 16  # which has no part in it, and costs
    model = create_model(name, **{**COMMON, "input_size": size}, **SMALL.get(name, {})).double()
    x = torch.randn(2, 2, size, size, dtype=torch.float64)
    shown = x.expand(3, *x.shape)
    for training in (False, True):
        model.train(training)
        once, each = model(x), copy.deepcopy(model)(shown)
        assert once.shape == (3, 2, 4)
        torch.testing.assert_close(once, each)


@pytest.mark.parametrize("name", MODELS)
def test_any_number_of_steps_and_options(name: str) -> None:
    options = {"neuron": "plif", "norm": "tdbn", "v_reset": None, "surrogate": "atan"}
    options |= {"recurrent": False} if name == "rsnn" else {}
    options |= SMALL.get(name, {})
    model = create_model(name, **COMMON, **options, detach_reset=True, backend="eager")
    assert model(torch.randn(5, 2, 2, 32, 32)).shape == (5, 2, 4)
    assert any(isinstance(m, PLIF) for m in model.modules())
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(isinstance(norm, TdBatchNorm2d) for norm in norms)
    assert any(norm.gain < 1 for norm in norms) == (name in JOINED)


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


def test_vggsnn_keeps_its_proportions() -> None:
    weights = [p for p in create_model("vggsnn", **COMMON, width=8).parameters() if p.ndim == 4]
    assert [len(w) for w in weights] == [8, 16, 32, 32, 64, 64, 64, 64]


@pytest.mark.parametrize("name", ["vggsnn", "ms_resnet18", "spikformer"])
def test_a_size_that_is_null_is_the_networks_own(name: str) -> None:
    with torch.device("meta"):
        own, null = (create_model(name, **COMMON, **size) for size in ({}, {"width": None}))
    assert [p.shape for p in own.parameters()] == [p.shape for p in null.parameters()]


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
        ("csnn", {"channels": ()}, "one or more counts >= 1"),
        ("csnn", {"channels": (4, 0)}, "one or more counts >= 1"),
        ("csnn", {"tau": 0.1}, "tau must be"),
        ("rsnn", {"neuron": "plif"}, "set neuron to lif, or recurrent to false"),
        ("rsnn", {"backend": "compiled"}, "have the backends auto and reference, got 'compiled'"),
        ("rsnn", {"input_size": None}, "give input_size"),
        ("spikformer", {"width": 12}, "width must be a multiple of 8 and of heads"),
        ("spikformer", {"width": 64, "heads": 12}, "got 64 and 12 heads"),
        ("spikformer", {"poolings": 5}, "poolings must be >= 0, at most 4"),
        ("spikformer", {"depth": 0}, "depth must be >= 1"),
        ("qkformer", {"depth": 2}, "depth must be >= 3"),
        ("qkformer", {"poolings": 2}, "qkformer has no option 'poolings'"),
    ],
)
def test_bad_options(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        create_model(name, **{**COMMON, **options})


@pytest.mark.parametrize("shape", [(2, 32, 32), (2, 3, 32, 32), (1, 2, 3, 2, 32, 32)])
def test_bad_input_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"CSNN takes \[B, 2, H, W\]"):
        create_model("csnn", **COMMON)(torch.zeros(shape))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("training", [False, True])
def test_no_output_depends_on_later_timesteps_or_on_other_samples(
    name: str, training: bool
) -> None:
    """Changed inputs move the outputs of their own sample from their own timestep on; in training,
    batch norm apart."""
    torch.manual_seed(0)
    norm = "none" if training else "bn"
    options = {**COMMON, **SMALL[name], "input_size": 16, "norm": norm, "v_threshold": 0.1}
    model = create_model(name, **options).double().train(training)
    x = torch.rand(4, 3, 2, 16, 16, dtype=torch.float64)
    before = model(x)
    for t, b in ((0, 1), (2, 0), (3, 2)):
        changed = x.clone()
        changed[t, b] = torch.rand(2, 16, 16, dtype=torch.float64) * 3
        moved = (model(changed) != before).any(dim=2)
        assert moved[t:, b].any()
        others = moved.clone()
        others[t:, b] = False
        assert not others.any()
