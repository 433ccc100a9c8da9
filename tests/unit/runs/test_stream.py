"""A stream answers as the network does over all timesteps, sample by sample."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg.errors import RequestError
from tempreg.models import SpikingNetwork
from tests.conftest import needs_compiler

BACKENDS = ["torch", pytest.param("events", marks=needs_compiler)]


def network() -> SpikingNetwork:
    """One whose logits move from timestep to timestep."""
    torch.manual_seed(1)
    shape = {"num_classes": 4, "in_channels": 2, "num_steps": 5, "input_size": 8}
    model = tempreg.create_model("csnn", channels=(8, 16), **shape).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, 0.2, 0.9)
    with torch.no_grad():
        model.head.weight.mul_(8)
    return model


def frames(samples: int = 3, steps: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return (torch.rand(steps, samples, 2, 8, 8, generator=generator) < 0.3).float()


@pytest.mark.parametrize("backend", BACKENDS)
@torch.no_grad()
def test_it_equals_all_timesteps_at_once(backend: str) -> None:
    model, x = network(), frames()
    whole = model(x)
    assert whole.std(dim=0).max() > 0.05
    stream = tempreg.Stream(model, backend=backend)
    assert stream.backend == backend
    for t, frame in enumerate(x):
        answer = stream.step(frame)
        mean = whole[: t + 1].mean(dim=0)
        torch.testing.assert_close(answer.logits, whole[t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(answer.mean, mean, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(answer.probabilities, mean.softmax(1), atol=1e-5, rtol=1e-5)
        assert torch.equal(answer.label, mean.argmax(1))
        assert answer.done.tolist() == [t == 4] * 3
    assert answer.steps.tolist() == [5] * 3
    assert torch.equal(model(x), whole)  # the network itself is as it was


@pytest.mark.parametrize("backend", BACKENDS)
@torch.no_grad()
def test_samples_begin_and_leave_at_any_time(backend: str) -> None:
    model, x = network(), frames(4)
    whole = model(x)
    stream = tempreg.Stream(model, backend=backend)
    stream.step(x[0, :3])
    stream.step(x[1, :3])
    stream.reset([1])
    answer = stream.step(torch.stack([x[2, 0], x[0, 3], x[2, 2]]))
    assert answer.steps.tolist() == [3, 1, 3]
    expected = torch.stack([whole[2, 0], whole[0, 3], whole[2, 2]])
    torch.testing.assert_close(answer.logits, expected, atol=1e-5, rtol=1e-5)
    stream.keep(torch.tensor([False, True, True]))
    answer = stream.step(torch.stack([x[1, 3], x[3, 2]]))
    expected = torch.stack([whole[:2, 3].mean(0), whole[:4, 2].mean(0)])
    torch.testing.assert_close(answer.mean, expected, atol=1e-5, rtol=1e-5)
    stream.reset()
    assert stream.step(x[0]).steps.tolist() == [1] * 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_done_when_it_is_sure(backend: str) -> None:
    model, x = network(), frames(1)
    stream = tempreg.Stream(model, backend=backend)
    sure = [float(stream.step(frame).confidence) for frame in x]
    level = sorted(sure)[-2] - 1e-6
    first = next(t for t, value in enumerate(sure) if value >= level)
    stream = tempreg.Stream(model, until=level, backend=backend)
    done = [bool(stream.step(frame[0]).done) for frame in x]
    assert done.index(True) == first
    late = tempreg.Stream(model, until=[1.0, 1.0, 1e-9, 1.0, 1.0], backend=backend)
    assert [bool(late.step(frame).done) for frame in x] == [False, False, True, False, True]


@pytest.mark.parametrize("backend", BACKENDS)
@torch.no_grad()
def test_an_error_changes_nothing(backend: str) -> None:
    model, x = network(), frames()
    stream = tempreg.Stream(model, backend=backend)
    stream.step(x[0])
    bad = x[1].clone()
    bad[1, 0, 2, 2] = float("nan")
    with pytest.raises(RequestError, match="not finite"):
        stream.step(bad)
    with pytest.raises(RequestError, match="3 samples, and frames of 2"):
        stream.step(x[1, :2])
    with pytest.raises(ValueError, match="1, 8, 8"):
        stream.step(x[1, :, :1])
    torch.testing.assert_close(stream.step(x[1]).logits, model(x)[1], atol=1e-5, rtol=1e-5)


def test_a_failure_within_the_network_changes_nothing() -> None:
    model, x = network(), frames()
    stream = tempreg.Stream(model, backend="torch")
    stream.step(x[0])
    head = stream._stepping.network.head
    handle = head.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(MemoryError("full")))
    with pytest.raises(MemoryError):
        stream.step(x[1])
    handle.remove()
    with torch.no_grad():
        torch.testing.assert_close(stream.step(x[1]).logits, model(x)[1], atol=1e-5, rtol=1e-5)


def test_any_network_of_our_neurons_is_stepped() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(2), nn.Linear(128, 20), tempreg.LIF(), nn.Linear(20, 4))
    x = frames()
    stream = tempreg.Stream(net, steps=5)
    assert stream.backend == "torch"
    got = torch.stack([stream.step(frame).logits for frame in x])
    with torch.no_grad():
        torch.testing.assert_close(got, net(x))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"until": 1.5}, "a confidence in"),
        ({"until": [0.5, 0.5]}, "one for each of 5 timesteps"),
        ({"steps": 0}, "steps must be >= 1"),
        ({"backend": "fast"}, "choose one of auto, torch, events"),
    ],
)
def test_bad_settings(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        tempreg.Stream(network(), **options)


def test_networks_that_can_not_be_stepped(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="none of tempreg's neurons"):
        tempreg.Stream(nn.Linear(2, 2), steps=3)
    own = nn.Sequential(nn.Linear(2, 2), tempreg.LIF())
    with pytest.raises(
        RequestError, match=r"events: C is written of .* not of Sequential: take backend torch"
    ):
        tempreg.Stream(own, steps=3, backend="events")
    alif = tempreg.create_model(
        "csnn", num_classes=3, in_channels=2, num_steps=2, input_size=16, neuron="alif"
    )
    with pytest.raises(RequestError, match="not of ALIF: take backend torch"):
        tempreg.Stream(alif, backend="events")
    with pytest.raises(RequestError, match="on a CPU, in float32"):
        tempreg.Stream(network().double(), backend="events")
    with pytest.raises(RequestError, match="holds no run"):
        tempreg.Stream(tmp_path / "nowhere")


def test_without_a_compiler_auto_takes_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert tempreg.Stream(network()).backend == "torch"
    with pytest.raises(RequestError, match="no C compiler was found"):
        tempreg.Stream(network(), backend="events")
