"""Sequences of unequal length: a padded batch gives what its sequences give one by one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import tempreg
from tempreg import analysis, create_model
from tempreg.config import ConfigError, config_from_dict
from tempreg.models import SpikingNetwork
from tempreg.models.norms import TemporalEffectiveNorm
from tempreg.models.padding import held, lengths_for, lengths_of, only
from tempreg.objectives import Making, named_objective
from tempreg.options import ObjectiveOptions, parse_objective
from tempreg.training.evaluate import Totals

STEPS, CLASSES = 6, 3
OBJECTIVES = ("rate", "step", "trt", "tet", "anytime+kd", "tks", "rate+mse+l2")
Batch = tuple[Tensor, Tensor, Tensor]


def batch(lengths: list[int], seed: int) -> Batch:
    """Frames [T, B, 1, 1, 5] with events in the last of each sequence, lengths, and targets."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(STEPS, len(lengths), 1, 1, 5, generator=generator, dtype=torch.float64)
    x[1] = 0  # silence within a sequence is none of its end
    kept = torch.tensor(lengths)
    x[torch.arange(STEPS)[:, None] >= kept] = 0
    for b, length in enumerate(lengths):
        x[length - 1, b, 0, 0, 0] = 1
    return x, kept, torch.arange(len(lengths)) % CLASSES


def network(norm: str = "none", **options: Any) -> SpikingNetwork:
    torch.manual_seed(0)
    model = create_model(
        "rsnn", num_classes=CLASSES, in_channels=1, num_steps=STEPS, input_size=(1, 5),
        channels=(8,), norm=norm, v_threshold=0.2, surrogate="atan", **options,
    ).double()  # fmt: skip
    model.padded = True
    return model


def objective(name: str, model: nn.Module) -> tempreg.Objective:
    options = ObjectiveOptions(name=name, lam=1e-2)
    return named_objective(parse_objective(name), Making(options, model, STEPS))


def gradients(model: nn.Module) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]


@given(st.lists(st.integers(1, STEPS), min_size=1, max_size=5), st.sampled_from(OBJECTIVES))
@settings(max_examples=30, deadline=None)
def test_losses_gradients_and_metrics_are_those_of_the_sequences(
    lengths: list[int], name: str
) -> None:
    x, kept, y = batch(lengths, len(lengths))
    assert torch.equal(lengths_of(x), kept)
    model = network()
    criterion, totals = objective(name, model), Totals()
    outputs = model(x)
    loss = criterion(outputs, y, lengths_for(model, x))
    loss.backward()
    totals.add(outputs, y, loss.detach(), criterion)
    together, terms = gradients(model), dict(criterion.terms)

    alone = copy.deepcopy(model)
    alone.zero_grad()
    single, right = objective(name, alone), 0
    added = dict.fromkeys(terms, torch.tensor(0.0, dtype=torch.float64))
    for b, length in enumerate(lengths):
        own = alone(x[:length, b : b + 1])
        torch.testing.assert_close(outputs[:length, b], own[:, 0])
        torch.testing.assert_close(outputs[:, b].mean(dim=0), own.mean(dim=(0, 1)))
        (single(own, y[b : b + 1]) / len(lengths)).backward()
        for term, value in single.terms.items():
            added[term] = added[term] + value / len(lengths)
        right += int(own.mean(dim=0).argmax(dim=1) == y[b])
    torch.testing.assert_close(together, gradients(alone), rtol=1e-9, atol=1e-12)
    for term, value in terms.items():
        torch.testing.assert_close(value, added[term].to(value), rtol=1e-9, atol=1e-12)
    assert totals.evaluation().accuracy == pytest.approx(right / len(lengths))


@pytest.mark.parametrize("norm", ["bn", "tdbn", "tebn"])
def test_padding_is_no_part_of_a_norms_statistics(norm: str) -> None:
    x, kept, _ = batch([2, 6, 3], 0)
    model, plain = network(norm), network(norm)
    layer: Any = plain.layers[0]
    inner = layer.norm.norm if isinstance(layer.norm, TemporalEffectiveNorm) else layer.norm
    rows = torch.cat([x[: int(n), b] for b, n in enumerate(kept)]).flatten(1)
    inner(layer.linear(rows)[..., None, None])  # the real frames, and no others
    with only(kept, STEPS):
        model.layers[0](x.flatten(2))
    states = model.layers[0].state_dict(), layer.state_dict()
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name])
    assert not torch.equal(inner.running_mean, torch.zeros(8, dtype=torch.float64))
    convolutional = create_model(
        "csnn", num_classes=3, in_channels=1, num_steps=STEPS, input_size=(4, 4), channels=(4,)
    )
    convolutional.padded = True
    frames = torch.rand(STEPS, 2, 1, 4, 4)
    frames[2:, 0] = 0
    convolutional(frames)
    other = create_model(
        "csnn", num_classes=3, in_channels=1, num_steps=STEPS, input_size=(4, 4), channels=(4,)
    )
    other.load_state_dict(convolutional.state_dict())
    unit = other.stem
    unit.norm.reset_running_stats()
    unit.norm(unit.conv(torch.cat([frames[:2, 0], frames[:, 1]])))
    torch.testing.assert_close(unit.norm.running_mean, convolutional.stem.norm.running_mean)
    torch.testing.assert_close(unit.norm.running_var, convolutional.stem.norm.running_var)


def test_analyses_see_each_sequence_to_its_end() -> None:
    x, _, y = batch([2, 6, 3, 1], 1)
    model = network().eval()
    together = analysis.temporal_gradients(model, x, y, tempreg.StepLoss())
    squares = []
    for b, length in enumerate(lengths_of(x).tolist()):
        own = analysis.temporal_gradients(
            model, x[:length, b : b + 1], y[b : b + 1], tempreg.StepLoss()
        )
        padded = torch.zeros(STEPS, dtype=torch.float64)
        padded[:length] = torch.from_numpy(own.norms[0]) ** 2
        squares.append(padded)
    expected = torch.stack(squares).sum(dim=0).sqrt() / len(y)
    torch.testing.assert_close(torch.from_numpy(together.norms[0]), expected)
    anytime = analysis.anytime(model, x, y)
    assert anytime.loss.shape == (STEPS,)
    answers = held(model(x), lengths_of(x)).mean(dim=0)
    loss = nn.functional.cross_entropy(answers, y)
    assert anytime.loss[-1] == pytest.approx(loss.item())


def test_what_is_refused() -> None:
    outputs, y = torch.zeros(4, 2, 3), torch.tensor([0, 1])
    for lengths in (torch.tensor([0, 4]), torch.tensor([4, 5]), torch.tensor([4]), torch.ones(2)):
        with pytest.raises(ValueError, match=r"lengths are whole numbers in \[1, 4\]"):
            tempreg.RateLoss()(outputs, y, lengths)
    model = network("tab")
    with pytest.raises(ValueError, match="norm tab has no statistics of sequences of unequal"):
        model(batch([2, 6], 0)[0])
    with pytest.raises(ConfigError, match=r"data\.unequal is for data\.frames duration"):
        config_from_dict({"data": {"unequal": True}}, "file")
