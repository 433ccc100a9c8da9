"""Norms that know the timestep, against loops over PyTorch's batch norm."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg import create_model
from tempreg.errors import RequestError
from tempreg.models.norms import (
    NormOverTime,
    TemporalAccumulatedNorm,
    TemporalEffectiveNorm,
    TooFewValues,
)

STEPS, CHANNELS = 4, 3
KINDS = {"tebn": TemporalEffectiveNorm, "tab": TemporalAccumulatedNorm}
NETWORK = {"num_classes": 3, "in_channels": 2, "num_steps": STEPS, "input_size": 8}


def made(kind: str, seed: int = 0) -> NormOverTime:
    """With parameters unlike those it starts with, in float64."""
    norm: NormOverTime = KINDS[kind](CHANNELS, STEPS).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in norm.parameters():
            p.uniform_(0.5, 1.5, generator=generator)
    return norm


def currents(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(STEPS, 5, CHANNELS, 2, 3, generator=generator, dtype=torch.float64)
    return x * torch.arange(1, STEPS + 1)[:, None, None, None, None] + 2


class TEBN(nn.Module):
    """The equation: batch norm over all timesteps, times p[t]."""

    def __init__(self, norm: TemporalEffectiveNorm) -> None:
        super().__init__()
        self.norm = copy.deepcopy(norm.norm)
        self.p = norm.scale.detach().clone()

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return torch.stack([self.p[t] * y[t] for t in range(len(x))])


class TAB(nn.Module):
    """The equation: for each t a batch norm over 0 ... t, of which the last is taken, times p^2."""

    def __init__(self, norm: TemporalAccumulatedNorm) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm3d(CHANNELS) for _ in range(STEPS)).double()
        self.p = norm.scale.detach().clone()
        with torch.no_grad():
            for t, each in enumerate(self.norms):
                each.weight.copy_(norm.gain.unflatten(0, (STEPS, CHANNELS))[t])
                each.bias.copy_(norm.bias.unflatten(0, (STEPS, CHANNELS))[t])

    def forward(self, x: Tensor) -> Tensor:
        rows = []
        for t in range(len(x)):
            upto = x[: t + 1].movedim(0, 2)  # [B, C, t + 1, H, W]
            rows.append(self.norms[t](upto)[:, :, t] * self.p[t] ** 2)
        return torch.stack(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_equals_its_equation_in_training_and_after_it(kind: str) -> None:
    norm = made(kind)
    plain = (TEBN if kind == "tebn" else TAB)(norm)
    for seed in range(3):
        x, y = (currents(seed).requires_grad_() for _ in range(2))
        got, expected = norm(x), plain(y)
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
        weights = torch.linspace(-1, 1, got.numel(), dtype=torch.float64).view_as(got)
        (got * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(x.grad, y.grad, rtol=1e-9, atol=1e-12)
    norm.eval()
    plain.eval()
    torch.testing.assert_close(norm(currents(9)), plain(currents(9)), rtol=1e-10, atol=1e-12)
    shorter = currents(9)[:2]
    torch.testing.assert_close(norm(shorter), plain(shorter), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_in_pieces_and_beyond_the_last_timestep(kind: str) -> None:
    norm = made(kind).train()
    norm(currents(1))
    norm.eval()
    x = torch.cat([currents(2), currents(3)])
    whole = norm(x)
    first, state = norm(x[:1], norm.initial_state(x))
    second, state = norm(x[1:], state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert state.tolist() == [2 * STEPS] * 5
    like_the_last = torch.stack([x[-1]] * STEPS)
    assert torch.equal(whole[-1], norm(like_the_last)[-1])
    with pytest.raises(ValueError, match="trained on these from the first on"):
        norm.train()(x)


def test_which_norms_let_later_timesteps_reach_earlier_ones_in_training() -> None:
    moved = {}
    for kind in ("bn", "tdbn", "tebn", "tab"):
        torch.manual_seed(0)
        model = create_model("csnn", **NETWORK, channels=(4,), norm=kind).double()
        unit = model.stem
        x = torch.rand(STEPS, 3, 2, 8, 8, dtype=torch.float64)
        later = x.clone()
        later[-1] += 1
        moved[kind] = not torch.equal(unit(x)[:-1], unit(later)[:-1])
        model.eval()
        assert torch.equal(unit(x)[:-1], unit(later)[:-1])
    assert moved == {"bn": True, "tdbn": True, "tebn": True, "tab": False}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["csnn", "ms_resnet18", "rsnn"])
def test_networks_with_them(kind: str, name: str) -> None:
    torch.manual_seed(0)
    sizes = {"csnn": {"channels": (4, 4)}, "ms_resnet18": {"width": 8}, "rsnn": {"channels": (6,)}}
    model = create_model(name, **NETWORK, **sizes[name], norm=kind, v_threshold=0.2).double()
    images = torch.rand(4, 2, 8, 8, dtype=torch.float64)
    shown = images.expand(STEPS, *images.shape)
    for training in (True, False):
        other = copy.deepcopy(model).train(training)
        torch.testing.assert_close(model.train(training)(images), other(shown))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, NormOverTime):
                module.scale.copy_(torch.linspace(0.5, 1.5, STEPS))
    frames = torch.rand(STEPS, 4, 2, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(20):  # running statistics as of these frames, so that neurons fire
            model.train()(frames)
        model.eval()
        whole = model(frames)
        stream = tempreg.Stream(model)
        steps = torch.stack([stream.step(frame).logits for frame in frames])
    assert stream.backend == "torch"
    torch.testing.assert_close(steps, whole)
    assert not torch.equal(whole[0], model(frames[1:])[0])  # a timestep earlier is another


def test_the_audit_passes_them() -> None:
    for kind in KINDS:
        torch.manual_seed(0)
        model = create_model("csnn", **NETWORK, channels=(4, 4), norm=kind)
        audit = tempreg.audit(model, torch.rand(STEPS, 2, 2, 8, 8))
        assert audit.passed, audit.table()


def test_what_is_refused(tmp_path: Path) -> None:
    tab = made("tab")
    with pytest.raises(TooFewValues, match="more than one value a channel"):
        tab(torch.rand(STEPS, 1, CHANNELS, 1, 1, dtype=torch.float64))
    with pytest.raises(TooFewValues):
        made("tebn")(torch.rand(1, 1, CHANNELS, 1, 1, dtype=torch.float64))
    for kind in KINDS:
        model = create_model("csnn", **NETWORK, channels=(4, 4), norm=kind).eval()
        with pytest.raises(RequestError, match="parameters of their own for each timestep"):
            tempreg.export.nir(model, tmp_path / "net.nir", input_shape=(2, 8, 8))
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [{"norm": "tebn"}, {"norm": "tab"}, {"readout": "attention"}, {"readout": "last"}],
)
def test_fisher_information_is_that_of_a_loop_over_samples(options: dict[str, str]) -> None:
    torch.manual_seed(0)
    model = create_model("csnn", **NETWORK, channels=(4,), v_threshold=0.2, **options).double()
    x, y = torch.rand(STEPS, 3, 2, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2])
    for _ in range(10):
        model(x)
    model.eval()
    found = tempreg.analysis.fisher_information(model, x, y)
    means = model(x).cumsum(dim=0) / torch.arange(1, STEPS + 1)[:, None, None]
    expected = torch.zeros(STEPS, dtype=torch.float64)
    for t in range(STEPS):
        for b in range(3):
            loss = nn.functional.cross_entropy(means[t, b : b + 1], y[b : b + 1])
            grads = torch.autograd.grad(
                loss, list(model.parameters()), retain_graph=True, allow_unused=True
            )
            expected[t] += sum(g.square().sum() for g in grads if g is not None) / 3
    torch.testing.assert_close(torch.from_numpy(found.per_step), expected)
    gradients = tempreg.analysis.temporal_gradients(model, x, y, tempreg.RateLoss())
    assert (gradients.norms > 0).any()
