"""Exits that are calibrated: the guarantee by simulation, and each number by its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from tempreg.analysis.anytime import exit_steps
from tempreg.analysis.exits import calibrated, scores


def answers(count: int, seed: int, growth: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of a network that grows surer with time and is overconfident at first."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 5, (count,), generator=generator)
    ease = torch.rand(count, generator=generator) * 3
    logits = torch.randn(4, count, 5, generator=generator) * 2
    for t in range(4):
        logits[t, torch.arange(count), targets] += ease * (1 + growth * t)
    return logits * torch.tensor([3.0, 2.0, 1.5, 1.0])[:, None, None], targets


@pytest.mark.parametrize(("score", "draws"), [("confidence", 200), ("entropy", 40), ("gap", 40)])
def test_the_risk_is_held_in_all_but_delta_of_the_calibrations(score: str, draws: int) -> None:
    """Calibrations on draws from a large population, whose true risk is then counted."""
    risk, delta = 0.05, 0.1
    logits, targets = answers(5_000, seed=1)
    generator = np.random.default_rng(2)
    missed = early = 0
    for draw in range(draws):
        rows = torch.from_numpy(generator.choice(5_000, 400, replace=False))
        found = calibrated(
            logits[:, rows], targets[rows], risk=risk, delta=delta, score=score, seed=draw
        )
        scale = torch.tensor(found.temperatures, dtype=torch.float64)[:, None, None]
        steps = torch.arange(1.0, 5.0, dtype=torch.float64)[:, None, None]
        probabilities = (logits.double().cumsum(0) / steps / scale).softmax(-1).numpy()
        exits = exit_steps(scores(probabilities, score), found.threshold)
        right = probabilities.argmax(-1) == targets.numpy()
        at_exit = right[exits, np.arange(len(exits))]
        missed += bool((right[-1] & ~at_exit).mean() > risk)
        early += exits.mean() < 2.7
    assert missed / draws <= delta + 2 * math.sqrt(delta * (1 - delta) / draws)
    assert early / draws > 0.5  # and it isn't held by never answering early


def test_prediction_sets_hold_the_right_class() -> None:
    logits, targets = answers(8_000, seed=3)
    found = calibrated(logits[:, :2_000], targets[:2_000], risk=0.1)
    steps = torch.arange(1.0, 5.0, dtype=torch.float64)[:, None, None]
    scale = torch.tensor(found.temperatures, dtype=torch.float64)[:, None, None]
    probabilities = (logits.double().cumsum(0) / steps / scale).softmax(-1)[:, 2_000:]
    rows = torch.arange(6_000)
    for t, least in enumerate(found.least_probability):
        held = (probabilities[t, rows, targets[2_000:]] >= least).double().mean()
        assert 0.88 <= held <= 0.92


def test_the_threshold_is_the_last_that_the_binomial_test_lets_pass() -> None:
    logits, targets = answers(600, seed=4)
    found = calibrated(logits, targets, risk=0.06, delta=0.2)
    assert stats.binomtest(round(found.lost * 300), 300, 0.06, "less").pvalue <= 0.2
    assert 1 < found.mean_steps < 4
    never = calibrated(logits, targets, risk=0.02, delta=0.05)
    assert never.threshold > found.threshold
    always_wrong = torch.nn.functional.one_hot((targets + 1) % 5, 5).float()[None] * 9
    right_at_last = torch.nn.functional.one_hot(targets, 5).float()[None] * 99
    hopeless = calibrated(torch.cat([always_wrong] * 3 + [right_at_last]), targets, risk=0.01)
    assert (hopeless.mean_steps, hopeless.lost) == (4.0, 0.0)  # it never answers early


def test_scores_by_their_definitions() -> None:
    p = np.array([[0.7, 0.2, 0.1], [1 / 3, 1 / 3, 1 / 3]])
    assert scores(p, "confidence") == pytest.approx([0.7, 1 / 3])
    assert scores(p, "gap") == pytest.approx([0.5, 0.0])
    assert scores(p, "entropy") == pytest.approx([1 - stats.entropy(p[0], base=3), 0.0])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"risk": 0.0}, r"risk must be in \(0, 1\)"),
        ({"risk": 0.1, "delta": 1.0}, r"delta must be in \(0, 1\)"),
        ({"risk": 0.001}, "needs 4604 samples, .* and 50 are there"),
        ({"risk": 0.1, "score": "margin"}, "unknown score 'margin'"),
    ],
)
def test_what_can_not_be_calibrated(options: dict[str, object], sentence: str) -> None:
    logits, targets = answers(50, seed=0)
    with pytest.raises(ValueError, match=sentence):
        calibrated(logits, targets, **options)
    with pytest.raises(ValueError, match="expected logits"):
        calibrated(logits[0], targets, risk=0.1)
