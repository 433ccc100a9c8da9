"""Regression, against PyTorch's mean squared error and NumPy's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tempreg
from tempreg.objectives import Regularised, SquaredLoss, regression_scores, trt_regression


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (4, 5, 3)
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))


def test_each_supervision_by_its_definition() -> None:
    o, y = data()
    same = y[0]
    step, mean, anytime = (SquaredLoss(supervise=s) for s in ("step", "mean", "anytime"))
    assert step(o, y) == F.mse_loss(o, y)
    torch.testing.assert_close(step(o, same), F.mse_loss(o, same.expand(4, 5, 3)))
    torch.testing.assert_close(mean(o, same), F.mse_loss(o.mean(dim=0), same))
    rows = [F.mse_loss(o[: t + 1].mean(dim=0), same) for t in range(4)]
    torch.testing.assert_close(anytime(o, same), torch.stack(rows).mean())
    batch_first = SquaredLoss(time_dim=1)(o.transpose(0, 1), y.transpose(0, 1))
    torch.testing.assert_close(batch_first, step(o, y))
    assert list(step.terms) == ["mse"]


def test_lengths_leave_padding_out_of_loss_and_scores() -> None:
    o, y = data()
    lengths = torch.tensor([4, 1, 2, 4, 3])
    loss = SquaredLoss()(o, y, lengths)
    alone = [F.mse_loss(o[:n, b], y[:n, b]) for b, n in enumerate(lengths.tolist())]
    torch.testing.assert_close(loss, torch.stack(alone).mean())
    scores = regression_scores(o, y, lengths)
    last = torch.tensor([0, 3])
    expected = F.mse_loss(o[3, last], y[3, last]).sqrt()
    torch.testing.assert_close(scores.step[3], expected)


def test_trts_parts() -> None:
    o, y = data()
    model = nn.Linear(3, 3).double()
    loss = trt_regression(model, lam=0.1, decay=0.5)
    assert isinstance(loss, Regularised)
    value = loss(o, y)
    penalty = tempreg.functional.trt_penalty(
        [model.weight], num_steps=4, lam=0.1, decay=0.5, eps=1e-5
    )
    torch.testing.assert_close(value, F.mse_loss(o, y) + penalty)
    assert list(loss.terms) == ["mse", "penalty"]
    lengths = torch.tensor([4, 4, 2, 2, 2])
    loss(o, y, lengths)
    parts = [
        share * tempreg.functional.trt_penalty(
            [model.weight], num_steps=steps, lam=0.1, decay=0.5, eps=1e-5
        )
        for steps, share in ((4, 0.4), (2, 0.6))
    ]  # fmt: skip
    torch.testing.assert_close(loss.terms["penalty"], torch.stack(parts).sum())


def test_scores_by_numpy() -> None:
    o, y = data()
    same = y[0]
    scores = regression_scores(o, same)
    running = np.stack([o[: t + 1].mean(dim=0).numpy() for t in range(4)])
    target = same.numpy()
    errors = ((running - target) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(scores.running, np.sqrt(errors))
    np.testing.assert_allclose(scores.r2, 1 - errors / target.var(axis=0).mean())
    np.testing.assert_allclose(scores.step, np.sqrt(((o.numpy() - target) ** 2).mean(axis=(1, 2))))


def test_what_is_refused() -> None:
    o, y = data()
    for targets in (y[0].long(), y[:2], y[0, :, :1], torch.zeros(5, dtype=torch.int64)):
        with pytest.raises(ValueError, match="targets of a regression are floating-point numbers"):
            SquaredLoss()(o, targets)
    with pytest.raises(ValueError, match=r"numbers \[5, 3\] for outputs"):
        SquaredLoss(supervise="mean")(o, y)
    with pytest.raises(ValueError, match="supervise must be one of"):
        SquaredLoss(supervise="last")
