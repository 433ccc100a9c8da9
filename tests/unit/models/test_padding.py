"""Sequences of unequal length: a padded batch gives what its sequences give one by one."""

from __future__ import annotations

import copy
from pathlib import Path
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
from tempreg.models.norms import TemporalAccumulatedNorm, TemporalEffectiveNorm
from tempreg.models.own import OwnNetwork
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


class Mine(nn.Module):
    """A network of one's own: a norm of each frame alone, neurons, and, if asked, lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(5, 8), nn.LayerNorm(8)
        self.neurons, self.head = tempreg.LIF(v_threshold=0.2, surrogate="atan"), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.neurons(self.norm(self.first(x.flatten(2)))))  # type: ignore[no-any-return]


class Knowing(Mine):
    """Batch norm, of the real frames alone."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        current = self.first(x.flatten(2))
        if lengths is None:
            lengths = torch.full((x.shape[1],), len(x))
        there = torch.arange(len(x))[:, None] < lengths
        normal = torch.zeros_like(current).index_put(
            (there.nonzero(as_tuple=True)), self.norm(current[there])
        )
        return self.head(self.neurons(normal))  # type: ignore[no-any-return]


def own(kind: type[nn.Module] = Mine) -> OwnNetwork:
    torch.manual_seed(0)
    model = OwnNetwork(kind(), num_classes=CLASSES, in_channels=1, num_steps=STEPS).double()
    model.padded = True
    return model


@given(
    st.lists(st.integers(1, STEPS), min_size=1, max_size=5),
    st.sampled_from(OBJECTIVES),
    st.sampled_from([network, own]),
)
@settings(max_examples=40, deadline=None)
def test_losses_gradients_and_metrics_are_those_of_the_sequences(
    lengths: list[int], name: str, make: Any
) -> None:
    x, kept, y = batch(lengths, len(lengths))
    assert torch.equal(lengths_of(x), kept)
    model = make()
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


@pytest.mark.parametrize("lengths", [[2, 6, 3], [1, 1, 2], [6, 6]])
def test_tab_has_the_statistics_of_the_real_frames_up_to_a_timestep(lengths: list[int]) -> None:
    kept = torch.tensor(lengths)
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(STEPS, len(lengths), 3, 2, 2, generator=generator, dtype=torch.float64) + 1
    norm = TemporalAccumulatedNorm(3, STEPS).double()
    with only(kept, STEPS):
        made = norm(x)
    for t in range(max(lengths)):
        real = torch.cat([x[: min(t + 1, n), b] for b, n in enumerate(lengths)])
        var, mean = torch.var_mean(real, dim=(0, 2, 3), correction=0)
        expected = (x[t] - mean[:, None, None]) / (var[:, None, None] + norm.eps).sqrt()
        there = kept > t
        torch.testing.assert_close(made[t, there], expected[there])
        torch.testing.assert_close(norm.mean[t], 0.1 * mean)
        unbiased = torch.var(real.movedim(1, 0).flatten(1), dim=1)
        torch.testing.assert_close(norm.var[t], 0.9 + 0.1 * unbiased)


def test_an_own_network_that_takes_lengths_leaves_padding_out_of_its_norm() -> None:
    x, kept, y = batch([2, 6, 3], 0)
    model = own(Knowing)
    tempreg.StepLoss()(model(x), y, kept).backward()
    plain: Any = own(Knowing).model
    plain.norm(plain.first(torch.cat([x[: int(n), b] for b, n in enumerate(kept)]).flatten(1)))
    torch.testing.assert_close(model.model.norm.running_mean, plain.norm.running_mean)
    model.eval()
    alone = model(x[:2, :1])
    torch.testing.assert_close(model(x)[:2, :1], alone)


CODE = """
import torch
import tempreg
from torch import nn


class Plain(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.first, self.neurons = nn.Linear(128, 8), self.made()
        self.head = nn.Linear(8, num_classes)

    def made(self):
        return tempreg.LIF(v_threshold=0.3)

    def forward(self, x):
        return self.head(self.neurons(self.first(x.flatten(2))))


class Normed(Plain):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        current = self.first(x.flatten(2))
        return self.head(self.neurons(self.norm(current.flatten(0, 1)).unflatten(0, x.shape[:2])))


class Looks(Plain):
    def forward(self, x):
        x = x.flatten(2)
        return self.head(self.neurons(self.first(x - x.mean(0))))


class Parallel(Plain):
    def made(self):
        return tempreg.PSN(6, v_threshold=0.3)
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Plain", ""),
        ("Normed", "statistics of model.norm of own_net.py:Normed: give its forward an argument"),
        ("Looks", "answers other than before where empty frames follow"),
        ("Parallel", "lets what is padded move the timesteps before it"),
    ],
)
def test_own_networks_in_runs(name: str, said: str, tempreg_here: Any, tmp_path: Path) -> None:
    (tmp_path / "own_net.py").write_text(CODE)
    done = tempreg_here(
        "train", "nmnist-trt", "--model.name", f"own_net.py:{name}", "--data.unequal", "true",
        "--data.frames", "duration", "--data.frame-ms", "50", "--num-steps", "6", "--epochs", "1",
        "--data.size", "8", "--data.train-size", "20", "--augment.shift", "0", "--out", "run",
    )  # fmt: skip
    assert done.returncode == (2 if said else 0), done.stderr
    assert said in done.stderr
    assert (tmp_path / "run" / "summary.json").exists() == (not said)


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
    with pytest.raises(ConfigError, match=r"data\.unequal is for data\.frames duration"):
        config_from_dict({"data": {"unequal": True}}, "file")
