"""Anytime behaviour, other T, probes and corrupted input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tempreg
from tempreg.analysis import (
    Anytime,
    Probes,
    Robustness,
    StepTransfer,
    anytime,
    early_robustness,
    linear_probes,
    step_transfer,
)
from tempreg.analysis.anytime import calibration_error, exit_steps
from tempreg.analysis.corruptions import CORRUPTIONS
from tempreg.analysis.probes import RIDGES, ridge_scores


class Echo(nn.Module):
    """Gives its input [T, B, C] as logits."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x


def logits() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 3, (40,), generator=generator)
    noise = 3 * torch.randn(5, 40, 3, generator=generator, dtype=torch.float64)
    return noise + 1.5 * F.one_hot(y, 3), y


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.55, 0.6, 0.95, 0.85])
    correct = np.array([True, False, True, True])
    # Of ten bins (0.5, 0.6] holds two: |0.5 - 0.575| * 2/4; the others |1 - .95| and |1 - .85|.
    assert calibration_error(confidence, correct, 10) == pytest.approx(0.0375 + 0.0125 + 0.0375)
    assert calibration_error(np.array([1.0, 0.0]), np.array([True, False]), 15) == 0


def test_exit_is_the_first_step_that_is_sure_enough() -> None:
    confidence = np.array([[0.5, 0.9, 0.1], [0.8, 0.2, 0.2], [0.6, 0.95, 0.3]])
    assert exit_steps(confidence, 0.8).tolist() == [1, 0, 2]
    assert exit_steps(confidence, 0.0).tolist() == [0, 0, 0]


def test_each_step_is_the_running_mean() -> None:
    x, y = logits()
    result = anytime(Echo(), x, y, chunk=7, energy_per_step=np.array([2.0, 1, 1, 1, 1]))
    for t in range(5):
        mean = x[: t + 1].mean(dim=0)
        assert result.accuracy[t] == float((mean.argmax(-1) == y).double().mean())
        assert result.loss[t] == pytest.approx(float(F.cross_entropy(mean, y)), abs=1e-12)
        assert result.confidence[t] == pytest.approx(float(mean.softmax(-1).amax(-1).mean()))
    assert result.exit_steps[0] == 1
    assert result.exit_accuracy[0] == result.accuracy[0]
    assert result.exit_energy[0] == 2
    assert result.exit_steps[-1] == 5
    assert result.exit_accuracy[-1] == result.accuracy[-1]
    assert result.exit_energy[-1] == 6
    assert (np.diff(result.exit_steps) >= 0).all()
    np.testing.assert_allclose(result.exit_energy, result.exit_steps + 1)


def test_results_are_saved_and_drawn(tmp_path: Path) -> None:
    x, y = logits()
    transfer = step_transfer(lambda steps: (Echo(), x[:steps], y), [2, 5])
    worse = early_robustness(Echo(), x, y, corruptions={"noise": (1.0,), "blank late input": ()})
    kinds = ((anytime(Echo(), x, y), Anytime), (transfer, StepTransfer), (worse, Robustness))
    for result, kind in kinds:
        result.save(tmp_path / "r.json")
        back = kind.load(tmp_path / "r.json")
        for name in kind.axes:
            np.testing.assert_array_equal(getattr(back, name), getattr(result, name))
        assert back.table() == result.table()
        assert back.figure().axes


def test_other_steps() -> None:
    x, y = logits()
    result = step_transfer(lambda steps: (Echo(), x[:steps], y), [2, 5])
    np.testing.assert_array_equal(result.accuracy[0, :2], result.accuracy[1, :2])
    assert np.isnan(result.accuracy[0, 2:]).all()
    assert np.isfinite(result.accuracy[1]).all()
    with pytest.raises(ValueError, match="was to run 3 timesteps but gave 5"):
        step_transfer(lambda steps: (Echo(), x, y), [3])
    with pytest.raises(ValueError, match="num_steps"):
        step_transfer(lambda steps: (Echo(), x, y), [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"thresholds": (1.2,)}, "thresholds"),
        ({"bins": 0}, "bins"),
        ({"energy_per_step": np.ones(4)}, "T=5"),
    ],
)
def test_bad_arguments(arguments, words) -> None:
    with pytest.raises(ValueError, match=words):
        anytime(Echo(), *logits(), **arguments)


def test_ridge_is_the_normal_equations_and_its_strength_the_best_left_out() -> None:
    rng = np.random.default_rng(0)
    x, z, y = rng.normal(size=(12, 20)), rng.normal(size=(5, 20)), rng.normal(size=(12, 2))
    centre, middle = x.mean(axis=0), y.mean(axis=0)

    def fit(x, y, z, ridge):
        centre, middle = x.mean(axis=0), y.mean(axis=0)
        a = x - centre
        w = np.linalg.solve(a.T @ a + ridge * np.eye(20), a.T @ (y - middle))
        return middle + (z - centre) @ w

    size = float(((x - centre) ** 2).sum() / 12)
    scores, chosen = ridge_scores(x, y, z)
    np.testing.assert_allclose(scores, fit(x, y, z, chosen * size), atol=1e-7)

    def left_out(factor):
        others = [np.arange(12) != i for i in range(12)]
        rows = [fit(x[o], y[o], x[~o], factor * size) - y[~o] for o in others]
        return float((np.concatenate(rows) ** 2).mean())

    errors = [left_out(factor) for factor in RIDGES]
    assert chosen == RIDGES[int(np.argmin(errors))]
    assert middle.shape == (2,)


def test_probes_find_what_is_there_and_when() -> None:
    """Spikes carry the class from the third step on; before, they are the same for all."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = tempreg.LIF(tau=1e9)

        def forward(self, x: Tensor) -> Tensor:
            return self.cell(x)

    y = torch.arange(40) % 4
    x = torch.zeros(4, 40, 4)
    x[2] = 2 * F.one_hot(y, 4)
    result = linear_probes(Net(), (x[:, :20], y[:20]), (x[:, 20:], y[20:]), chunk=6)
    assert result.layers == ["cell"]
    np.testing.assert_array_equal(result.accuracy[0], [0.25, 0.25, 1, 1])
    at = linear_probes(Net(), (x[:, :20], y[:20]), (x[:, 20:], y[20:]), cumulative=False)
    np.testing.assert_array_equal(at.accuracy[0], [0.25, 0.25, 1, 0.25])
    shuffled = linear_probes(Net(), (x[:, :20], y[:20].flip(0)), (x[:, 20:], y[20:]))
    assert shuffled.accuracy[0, 2] == 0
    assert isinstance(at, Probes)
    assert at.figure().axes


def test_blank_and_drop() -> None:
    x = torch.full((4, 3, 1, 5, 5), 8.0)
    seed = torch.Generator
    early, late = (
        CORRUPTIONS[f"blank {end} input"][0](x, 0.5, seed()) for end in ("early", "late")
    )
    assert early[:2].sum() == late[2:].sum() == 0
    assert torch.equal(early[2:], x[2:])
    assert torch.equal(late[:2], x[:2])
    dropped = CORRUPTIONS["event drop"][0](x, 0.25, seed().manual_seed(0))
    assert set(dropped.unique().tolist()) <= set(range(9))
    assert float(dropped.mean()) == pytest.approx(6, abs=0.3)
    part = CORRUPTIONS["event drop"][0](x + 0.5, 0.25, seed().manual_seed(0))
    assert set(part.unique().tolist()) == {0.0, 8.5}
    assert torch.equal(CORRUPTIONS["event drop"][0](x, 0.0, seed()), x)


def test_noise_and_blur() -> None:
    x = torch.zeros(2, 3, 1, 21, 21)
    x[..., 10, 10] = 1
    blurred = CORRUPTIONS["blur"][0](x, 1.0, torch.Generator())
    torch.testing.assert_close(blurred.sum(), x.sum())
    assert blurred[0, 0, 0, 10, 11] > 0
    noisy = CORRUPTIONS["noise"][0](x, 0.5, torch.Generator().manual_seed(0))
    assert float((noisy - x).std() / x.std()) == pytest.approx(0.5, rel=0.1)


def test_robustness_is_seeded_and_clean_without_strength() -> None:
    torch.manual_seed(0)
    model = tempreg.create_model(
        "csnn", num_classes=3, in_channels=1, num_steps=3, input_size=8, channels=(4,)
    )
    images, y = torch.rand(8, 1, 8, 8), torch.arange(8) % 3
    kinds = dict.fromkeys(CORRUPTIONS, (0.0,))
    still = early_robustness(model, images, y, corruptions=kinds)
    for row in still.accuracy[:, 0]:
        np.testing.assert_array_equal(row, still.clean)
    a, b = (early_robustness(model, images, y, seed=1, chunk=c) for c in (64, 3))
    np.testing.assert_array_equal(a.accuracy, b.accuracy)
    assert a.kinds == list(CORRUPTIONS)
    assert model.training
    with pytest.raises(ValueError, match="unknown corruption 'fog'"):
        early_robustness(model, images, y, corruptions={"fog": (1.0,)})
