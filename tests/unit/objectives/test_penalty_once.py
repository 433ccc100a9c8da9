"""A penalty of the weights is computed once an evaluation, and the loss is the same bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tempreg.data.base import ArraySplit
from tempreg.objectives import (
    LogitPenalty,
    Objective,
    Regularised,
    StepLoss,
    TRTLoss,
    trt_regression,
)
from tempreg.objectives import regularised as module
from tempreg.objectives.regularised import penalty_once
from tempreg.training import evaluate as evaluating
from tempreg.training.evaluate import evaluate

STEPS = 3


class Net(nn.Module):
    """[B, 4] -> [T, B, 3]. Final."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.first(x).relu())
        return torch.stack([y * (t + 1) for t in range(STEPS)])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """T of each time that the penalty is computed."""
    seen: list[int] = []
    compute = module.trt_penalty

    def watched(*args: Any, **keywords: Any) -> Tensor:
        seen.append(keywords["num_steps"])
        return compute(*args, **keywords)

    monkeypatch.setattr(module, "trt_penalty", watched)
    return seen


OBJECTIVES = {
    "trt": lambda net: TRTLoss(net, lam=0.1),
    "inside": lambda net: LogitPenalty(Regularised(StepLoss(), net, lam=0.1), lam=0.01),
    "numbers": lambda net: trt_regression(net, lam=0.1),
}


def samples(numbers: bool = False) -> ArraySplit:
    """23 of them, of 3 classes or of 3 numbers."""
    draws = torch.Generator().manual_seed(0)
    x, y = torch.randn(23, 4, generator=draws), torch.randn(23, 3, generator=draws)
    return ArraySplit(x, y if numbers else torch.arange(23) % 3)


def given(net: Net, data: ArraySplit) -> tuple[Tensor, Tensor]:
    """What the objective takes, of all samples."""
    x, y = data.batch(torch.arange(len(data)))
    return net(x), y


@contextmanager
def as_before(objective: Objective) -> Iterator[None]:
    """In place of `penalty_once`."""
    yield


@pytest.mark.parametrize("name", OBJECTIVES)
def test_once_an_evaluation_and_bit_for_bit(
    name: str, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    net, data = Net(), samples(name == "numbers")
    objective = OBJECTIVES[name](net)
    found = evaluate(net, objective, data, batch_size=5).evaluation()
    assert calls == [STEPS]
    assert objective(*given(net, data)) > 0
    assert calls == [STEPS] * 2  # and again when the evaluation is over
    calls.clear()
    monkeypatch.setattr(evaluating, "penalty_once", as_before)
    before = evaluate(net, objective, data, batch_size=5).evaluation()
    assert calls == [STEPS] * 5
    assert found == before


@torch.no_grad()
def test_once_for_each_length(calls: list[int]) -> None:
    net, data = Net(), samples()
    objective = TRTLoss(net, lam=0.1)
    lengths = torch.arange(23) % STEPS + 1
    with penalty_once(objective):
        kept = [objective(*given(net, data), lengths) for _ in range(3)]
    assert sorted(calls) == [1, 2, 3]
    assert all(torch.equal(each, objective(*given(net, data), lengths)) for each in kept)


def test_weights_that_change_are_noticed(calls: list[int]) -> None:
    net, data = Net(), samples()
    objective = TRTLoss(net, lam=0.1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    objective(*given(net, data)).backward()
    with penalty_once(objective), torch.no_grad():
        values = [objective(*given(net, data))]
        optimizer.step()
        values.append(objective(*given(net, data)))
        net.head.weight.requires_grad_(False)  # frozen, and so not penalised
        values.append(objective(*given(net, data)))
    assert len(calls) == 4
    assert len({float(value) for value in values}) == 3
    again = objective(*given(net, data)).detach()
    assert float(again) == float(values[-1])


def test_with_gradients_nothing_is_kept(calls: list[int]) -> None:
    net, data = Net(), samples()
    objective = TRTLoss(net, lam=0.1)
    with penalty_once(objective):
        for _ in range(2):
            net.zero_grad()
            objective(*given(net, data)).backward()
    assert len(calls) == 2
    assert net.first.weight.grad is not None


def test_an_error_inside_leaves_nothing(calls: list[int]) -> None:
    net, data = Net(), samples()
    objective = TRTLoss(net, lam=0.1)
    with pytest.raises(ZeroDivisionError), penalty_once(objective):
        raise ZeroDivisionError
    with torch.no_grad():
        for _ in range(2):
            objective(*given(net, data))
    assert len(calls) == 2


def test_weights_of_inference_mode(calls: list[int]) -> None:
    with torch.inference_mode():
        net = Net()
        objective, data = TRTLoss(net, lam=0.1), samples()
        with penalty_once(objective):
            values = [objective(*given(net, data)) for _ in range(2)]
    assert len(calls) == 1
    assert float(values[0]) == float(values[1])
