"""Readouts: answers by their definitions, in pieces, and what may be trained with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import tempreg
from tempreg import create_model
from tempreg.config import RunConfig
from tempreg.config.schema import ModelConfig
from tempreg.errors import RequestError
from tempreg.models.readout import READOUTS, make_readout
from tempreg.options import ObjectiveOptions

STEPS = 5


def outputs() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(STEPS, 3, 4, generator=generator, dtype=torch.float64)


def answers(kind: str, x: Tensor, scores: Tensor) -> Tensor:
    """Each timestep's answer [T, B, K], written down."""
    rows = []
    for t in range(len(x)):
        if kind == "last":
            rows.append(x[t])
        elif kind == "attention":
            shares = scores[: t + 1].softmax(dim=0)
            rows.append((shares[:, None, None] * x[: t + 1]).sum(dim=0))
        else:
            potentials = [sum(x[r] / 1.5 ** (s - r) for r in range(s + 1)) for s in range(t + 1)]
            rows.append(torch.stack(potentials).mean(dim=0))
    return torch.stack(rows)


@pytest.mark.parametrize("kind", ["membrane", "last", "attention"])
def test_the_mean_so_far_is_the_answer(kind: str) -> None:
    readout = make_readout(kind, tau=1.5, num_steps=STEPS).double()
    scores = torch.tensor([0.3, -1.0, 2.0, 0.0, 900.0], dtype=torch.float64)
    if kind == "attention":
        assert torch.allclose(readout(outputs()), outputs())  # equal shares: logits as they were
        with torch.no_grad():
            readout.scores.copy_(scores)
    x = outputs()
    made = readout(x)
    so_far = made.cumsum(dim=0) / torch.arange(1, STEPS + 1)[:, None, None]
    torch.testing.assert_close(so_far, answers(kind, x, scores))
    first, state = readout(x[:2], readout.initial_state(x))
    second, _ = readout(x[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), made)


@pytest.mark.parametrize("kind", READOUTS)
def test_networks_with_them(kind: str) -> None:
    torch.manual_seed(0)
    model = create_model(
        "csnn", num_classes=3, in_channels=2, num_steps=4, input_size=8, channels=(4,),
        readout=kind, v_threshold=0.2,
    )  # fmt: skip
    frames = torch.rand(4, 2, 2, 8, 8)
    assert tempreg.audit(model, frames).passed
    logits = model.train()(frames)
    tempreg.RateLoss()(logits, torch.tensor([0, 2])).backward()
    assert all(p.grad is not None for p in model.parameters())
    model.eval()
    stream = tempreg.Stream(model, backend="torch")
    whole = model(frames)
    answered = [stream.step(frame) for frame in frames[:2]]
    stream.reset([1])  # a new sample in the second place
    answered += [stream.step(frame) for frame in frames[2:]]
    torch.testing.assert_close(torch.stack([a.logits[0] for a in answered]), whole[:, 0])
    torch.testing.assert_close(answered[2].logits[1], model(frames[2:])[0, 1])


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown readout 'first': choose one of logits"):
        create_model(
            "csnn", num_classes=3, in_channels=2, num_steps=4, input_size=8, readout="first"
        )
    model = ModelConfig(readout="last")
    for name in ("trt", "step", "rate+mse", "tet"):
        with pytest.raises(ValueError, match="take rate or anytime"):
            RunConfig(model=model, objective=ObjectiveOptions(name=name))
    RunConfig(model=model, objective=ObjectiveOptions(name="anytime+kd"))
    network = create_model(
        "csnn", num_classes=3, in_channels=2, num_steps=4, input_size=8, readout="membrane"
    )
    with pytest.raises(RequestError, match=r"readout that looks at several timesteps"):
        tempreg.export.nir(network, tmp_path / "net.nir", input_shape=(2, 8, 8))
    assert not list(tmp_path.iterdir())
