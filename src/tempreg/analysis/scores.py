"""How good logits are: loss, accuracy, and the loss once their scale is taken out."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.analysis.capture import check_data, evaluating, logits_of
from tempreg.analysis.weights import mean_logits_at
from tempreg.objectives.labels import check_classes
from tempreg.objectives.over_time import fit_temperature


@final
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
