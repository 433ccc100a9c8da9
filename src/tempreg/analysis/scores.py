"""How good logits are: loss, accuracy, and the loss once their scale is taken out."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.analysis.capture import check_data, evaluating, logits_of
from tempreg.analysis.weights import mean_logits_at
from tempreg.objectives.labels import check_classes

_RANGE = 7.0


class Score(NamedTuple):
    """Of logits [N, C]: mean cross-entropy (nats), the same at a temperature, and accuracy."""

    loss: float
    scaled_loss: float
    accuracy: float


def score(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> Score:
    """CE(o, y), CE(o / temperature, y) and the share of samples whose largest logit is y's."""
    return Score(
        float(F.cross_entropy(logits, targets)),
        float(F.cross_entropy(logits / temperature, targets)),
        float((logits.argmax(dim=-1) == targets).double().mean()),
    )


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature of the least CE(o / temperature, labels), within e^-7 ... e^7 logit spreads.

    One number for all samples, as Guo et al. (2017, arXiv 1706.04599): it leaves every decision
    as it is and takes out how large an objective makes logits. Labels are smoothed by one count
    for each class, to (N + 1) / (N + C) for y and 1 / (N + C) for any other (after Platt 1999),
    without which a set that has no error wants 0. The spread is the standard deviation of the
    logits about each sample's mean; where it is 0, the temperature is 1.
    """
    samples, classes = logits.shape
    smoothing = classes / (samples + classes)
    spread = float((logits - logits.mean(dim=-1, keepdim=True)).square().mean().sqrt())
    if not (spread > 0 and math.isfinite(spread)):
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = logits / (spread * math.exp(log_temperature))
        return float(F.cross_entropy(scaled, targets, label_smoothing=smoothing))

    bounds = (-_RANGE, _RANGE)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return spread * math.exp(float(found.x))


def checked_logits(model: nn.Module, inputs: Tensor, targets: Tensor, chunk: int) -> Tensor:
    """mean_t o[t], float64 [N, C], of the network as it is, in eval mode; ValueError if it can't.

    Checks inputs, targets and what the model returns, so that later passes needn't.
    """
    check_data(inputs, targets)
    if chunk < 1:
        raise ValueError(f"the chunk must be >= 1 samples, got {chunk}")
    with evaluating(model):
        dim = inputs.ndim % 2
        with torch.no_grad():
            one = logits_of(model, inputs.narrow(dim, 0, 1))
        check_classes(targets, one.shape[2])
        return mean_logits_at(model, {}, inputs, targets, chunk)


def generalization_gap(
    model: nn.Module,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    chunk: int = 64,
) -> dict[str, float]:
    """How much better a network does on (inputs, targets) it was trained on than on others.

    `accuracy` is train minus test, `loss` and `scaled_loss` are test minus train (nats), so all
    are positive where it overfits; `scaled_loss` is at one temperature, fitted on `train`.
    Losses are cross-entropies of mean_t o[t]. Memory is that of `chunk` samples.
    """
    logits = [checked_logits(model, *data, chunk) for data in (train, test)]
    temperature = fit_temperature(logits[0], train[1])
    seen, unseen = (
        score(o, y, temperature) for o, (_, y) in zip(logits, (train, test), strict=True)
    )
    return {
        "accuracy": seen.accuracy - unseen.accuracy,
        "loss": unseen.loss - seen.loss,
        "scaled_loss": unseen.scaled_loss - seen.scaled_loss,
        "temperature": temperature,
    }
