"""Flatness: the slices meet at the network, scale drops out, the network is left as it was."""

from __future__ import annotations

import json
from copy import deepcopy
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tempreg
from tempreg.analysis.flatness import Flatness, flatness
from tempreg.analysis.scores import fit_temperature, generalization_gap, score
from tempreg.analysis.weights import filter_normalised, gaussian, moved_weights

SMALL = {"points": 5, "plane_points": 3, "sigmas": (0.2, 0.5), "draws": 3, "rhos": (0.1, 0.3)}


class Dense(nn.Module):
    """Two weight matrices with ReLU or LIF between, repeated over three steps."""

    def __init__(self, middle: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.middle, self.head = nn.Linear(5, 8), middle, nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(3, *x.shape)
        return self.head(self.middle(self.first(2 * x)))


@pytest.fixture
def network() -> Dense:
    return Dense(tempreg.LIF()).double()


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 5, dtype=torch.float64, generator=generator)
    return x, torch.randint(0, 3, (20,), generator=generator)


def test_radius_zero_is_the_loss(network: Dense, data: tuple[Tensor, Tensor]) -> None:
    result = flatness(network, *data, **SMALL, chunk=7)
    logits = network(data[0]).detach().mean(dim=0)
    loss = float(F.cross_entropy(logits, data[1]))
    assert result.loss == pytest.approx(loss, abs=1e-10)
    assert result.line_loss[2] == result.plane_loss[1, 1] == result.loss
    assert result.line_scaled_loss[2] == result.scaled_loss
    assert result.radii[2] == 0.0
    assert result.accuracy == float((logits.argmax(-1) == data[1]).double().mean())
    assert result.line_loss[0] != result.loss


def test_the_line_is_an_axis_of_the_plane(network: Dense, data: tuple[Tensor, Tensor]) -> None:
    result = flatness(network, *data, **{**SMALL, "plane_points": 5})
    for name in ("loss", "scaled_loss", "accuracy"):
        line, plane = getattr(result, f"line_{name}"), getattr(result, f"plane_{name}")
        np.testing.assert_array_equal(line, plane[:, 2])
    assert not np.array_equal(result.line_loss, result.plane_loss[2])


def test_a_slice_is_where_it_says(network: Dense, data: tuple[Tensor, Tensor]) -> None:
    """The end of the line, computed by writing to a copy of the network."""
    result = flatness(network, *data, **SMALL, seed=3)
    weights = moved_weights(network)
    assert list(weights) == ["first.weight", "head.weight"]
    direction = filter_normalised(gaussian(weights, 3, "direction", 0), weights)
    for name, d in direction.items():
        torch.testing.assert_close(d.norm(dim=1), weights[name].norm(dim=1))
    copy = deepcopy(network)
    with torch.no_grad():
        for name, d in direction.items():
            copy.get_parameter(name).add_(d)
        loss = F.cross_entropy(copy(data[0]).mean(dim=0), data[1])
    assert result.line_loss[-1] == pytest.approx(float(loss), abs=1e-12)


def test_scale_of_logits_drops_out(network: Dense, data: tuple[Tensor, Tensor]) -> None:
    """As an objective that shrinks logits does: only the scaled loss and accuracy stay."""
    small = deepcopy(network)
    with torch.no_grad():
        small.head.weight /= 4
        small.head.bias /= 4
    a, b = flatness(network, *data, **SMALL), flatness(small, *data, **SMALL)
    for name in ("line", "plane", "noise"):
        first, second = getattr(a, f"{name}_scaled_loss"), getattr(b, f"{name}_scaled_loss")
        np.testing.assert_allclose(first, second, rtol=1e-5)
        np.testing.assert_array_equal(
            getattr(a, f"{name}_accuracy"), getattr(b, f"{name}_accuracy")
        )
    np.testing.assert_allclose(a.sharpness_random, b.sharpness_random, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(a.sharpness_ascent, b.sharpness_ascent, rtol=1e-4, atol=1e-7)
    assert not np.allclose(a.line_loss, b.line_loss, rtol=1e-2)


def test_rescaled_weights_of_the_same_function(data: tuple[Tensor, Tensor]) -> None:
    """ReLU passes a factor on, so the two networks are one function, and equally flat."""
    one = Dense(nn.ReLU()).double()
    other = deepcopy(one)
    with torch.no_grad():
        other.first.weight *= 8
        other.first.bias *= 8
        other.head.weight /= 8
    a, b = flatness(one, *data, **SMALL), flatness(other, *data, **SMALL)
    np.testing.assert_allclose(a.line_loss, b.line_loss, rtol=1e-12)
    np.testing.assert_allclose(a.noise_loss, b.noise_loss, rtol=1e-12)
    np.testing.assert_allclose(a.sharpness_ascent, b.sharpness_ascent, rtol=1e-9)
    assert (a.sharpness_ascent >= 0).all()
    assert a.sharpness_ascent[1] > a.sharpness_random[1]


def test_sharpness_of_a_linear_model_is_exact(data: tuple[Tensor, Tensor]) -> None:
    """The loss is convex in the weights, so that one corner of the box is worst."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([[0.5], [-0.3]], dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return (x @ self.weight.T)[None]

    x = torch.tensor([[1.0], [2.0], [-1.0]], dtype=torch.float64)
    y = torch.tensor([0, 0, 0])
    model = Linear()
    rho = 0.2
    # Fitted elsewhere: at its own best temperature the loss rises in two directions.
    other = (torch.ones(3, 1, dtype=torch.float64), torch.tensor([0, 0, 1]))
    options = {**SMALL, "rhos": (rho,), "ascent_steps": 4, "calibration": other}
    result = flatness(model, x, y, **options)
    weight, corners = model.weight.detach(), []
    for signs in product((-1.0, 1.0), repeat=2):
        moved = weight * (1 + rho * torch.tensor(signs, dtype=torch.float64)[:, None])
        corners.append(score(x @ moved.T, y, result.temperature).scaled_loss)
    worst = max(corners) - result.scaled_loss
    assert result.sharpness_ascent[0] == pytest.approx(worst, abs=1e-12)
    assert 0 <= result.sharpness_random[0] <= worst + 1e-12


def test_same_seed_same_numbers_and_the_model_is_untouched(
    data: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    network = tempreg.create_model(
        "csnn", num_classes=3, in_channels=2, num_steps=2, input_size=8, channels=(4,)
    )
    frames = torch.rand(2, 6, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    y = data[1][:6]
    network.stem.norm.eval()
    before = deepcopy(network.state_dict())
    modes = [m.training for m in network.modules()]
    a, b = (flatness(network, frames, y, **SMALL) for _ in range(2))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert modes == [m.training for m in network.modules()]
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    other = flatness(network, frames, y, **SMALL, seed=1)
    for name in Flatness.axes:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert not np.array_equal(a.line_loss, other.line_loss)
    assert not any("norm" in name or "bias" in name for name in a.settings["moved"])
    a.save(tmp_path / "flatness.json")
    back = Flatness.load(tmp_path / "flatness.json")
    np.testing.assert_array_equal(back.plane_loss, a.plane_loss)
    assert len(back.figure().axes) >= 5


def test_an_error_midway_leaves_the_model(network: Dense, data: tuple[Tensor, Tensor]) -> None:
    before = deepcopy(network.state_dict())
    calls = 0

    def fail(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls > 6:
            raise RuntimeError("out of memory")

    network.train()
    network.middle.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        flatness(network, *data, **SMALL)
    assert network.training
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"points": 4}, "points must be odd"),
        ({"draws": 0}, "draws must be >= 1"),
        ({"radius": 0.0}, "must be > 0"),
        ({"rhos": (0.1, -1)}, "must be > 0"),
        ({"chunk": 0}, "chunk must be >= 1"),
    ],
)
def test_bad_arguments(network: Dense, data: tuple[Tensor, Tensor], arguments, words) -> None:
    with pytest.raises(ValueError, match=words):
        flatness(network, *data, **arguments)


def test_a_loader_is_refused(network: Dense, data: tuple[Tensor, Tensor]) -> None:
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), shuffle=True)
    with pytest.raises(ValueError, match="shuffle"):
        flatness(network, loader, data[1])


def test_temperature_is_the_best_on_a_grid(data: tuple[Tensor, Tensor]) -> None:
    logits = 5 * torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    best = fit_temperature(logits, data[1])
    labels = (F.one_hot(data[1], 3) * 20 + 1) / 23  # each class once more
    losses = [float(F.cross_entropy(logits / (best * k), labels)) for k in (0.9, 1.0, 1.1)]
    assert min(losses) == losses[1]
    assert fit_temperature(3 * logits, data[1]) == pytest.approx(3 * best, rel=1e-4)


def test_temperature_where_nothing_is_wrong() -> None:
    """Without an error the plain best temperature is 0, and every move would look enormous."""
    labels = torch.arange(30) % 3
    logits = 4.0 * F.one_hot(labels, 3).double()
    temperature = fit_temperature(logits, labels)
    # At the optimum the probability of y is its smoothed label, 31 / 33, the others' 1 / 33.
    assert temperature == pytest.approx(4.0 / np.log(31), rel=1e-5)


def test_gap_is_positive_where_memorised(network: Dense, data: tuple[Tensor, Tensor]) -> None:
    x, y = data
    labels = network(x).mean(dim=0).argmax(dim=-1)
    gap = generalization_gap(network, (x, labels), (x, (labels + 1) % 3))
    assert gap["accuracy"] == 1.0
    assert gap["loss"] > 0
    assert gap["scaled_loss"] > 0
    assert generalization_gap(network, (x, y), (x, y))["loss"] == 0


def test_results_are_numbers_of_one_type(network: Dense, data: tuple[Tensor, Tensor]) -> None:
    result = flatness(network, *data, **{**SMALL, "sigmas": (1, 2), "rhos": (1,)})
    assert {getattr(result, name).dtype for name in result.axes} == {np.dtype(np.float64)}


def small_csnn() -> tuple[nn.Module, Tensor, Tensor]:
    """A network with batch norm whose gains differ, and samples that it mostly gets right."""
    torch.manual_seed(4)
    network = tempreg.create_model(
        "csnn", num_classes=3, in_channels=2, num_steps=2, input_size=8, channels=(4, 5),
        neuron="plif",
    ).double()  # fmt: skip
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
    x = torch.rand(2, 24, 2, 8, 8, dtype=torch.float64) * 3
    network.eval()
    y = network(x).mean(dim=0).argmax(dim=-1)
    y[:3] = (y[:3] + 1) % 3
    return network, x, y


def at(network: nn.Module, moved: dict[str, Tensor], x: Tensor) -> np.ndarray:
    """mean_t o[t] of a copy with other weights written into it."""
    copy = deepcopy(network)
    with torch.no_grad():
        for name, value in moved.items():
            copy.get_parameter(name).copy_(value)
        return copy(x).mean(dim=0).numpy()


@pytest.mark.parametrize("gains", [False, True])
def test_the_accuracy_that_noise_takes_is_a_share_of_what_there_was(gains: bool) -> None:
    network, x, y = small_csnn()
    result = flatness(network, x, y, **SMALL, seed=2, gains=gains)
    names = [n for n, _ in network.named_parameters() if not n.endswith(("bias", "neuron.w"))]
    names = [n for n in names if gains or "norm" not in n]
    assert result.settings["moved"] == names
    assert result.settings["gains"] is gains
    assert f"moved: weights, {'with' if gains else 'without'} batch norm's gains" in result.table()
    before = (at(network, {}, x).argmax(axis=1) == y.numpy()).mean()
    weights = {name: network.get_parameter(name).detach() for name in names}
    for i, sigma in enumerate(SMALL["sigmas"]):
        for draw in range(3):
            normal = gaussian(weights, 2, "noise", i, draw)
            moved = {n: w * (1 + sigma * normal[n]) for n, w in weights.items()}
            after = (at(network, moved, x).argmax(axis=1) == y.numpy()).mean()
            assert result.noise_accuracy[i, draw] == pytest.approx(after, abs=1e-12)
            wanted = (before - after) / before
            assert result.noise_drop[i, draw] == pytest.approx(wanted, abs=1e-12)
    assert result.noise_drop.max() > 0


def test_gains_are_moved_as_one_filter_for_each_norm() -> None:
    network, x, y = small_csnn()
    result = flatness(network, x, y, **SMALL, seed=5, gains=True)
    moved = {}
    for name in result.settings["moved"]:
        w = network.get_parameter(name).detach()
        d = gaussian({name: w}, 5, "direction", 0)[name].numpy()
        rows = (d[None], w.numpy()[None]) if w.ndim == 1 else (d, w.numpy())
        length = [np.sqrt((v.reshape(len(v), -1) ** 2).sum(axis=1)) for v in rows]
        scale = (length[1] / length[0]).reshape(-1, *[1] * (rows[0].ndim - 1))
        moved[name] = w + torch.from_numpy((rows[0] * scale).reshape(w.shape))
    logits = at(network, moved, x)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(len(y)), y.numpy()].mean()
    assert result.line_loss[-1] == pytest.approx(loss, abs=1e-10)


def test_corners_are_counted_apart_from_draws(network: Dense, data: tuple[Tensor, Tensor]) -> None:
    few = flatness(network, *data, **SMALL, corners=1)
    more = flatness(network, *data, **{**SMALL, "draws": 1}, corners=1)
    np.testing.assert_array_equal(few.sharpness_random, more.sharpness_random)
    same = flatness(network, *data, **SMALL)
    as_draws = flatness(network, *data, **SMALL, corners=3)
    np.testing.assert_array_equal(same.sharpness_random, as_draws.sharpness_random)
    with pytest.raises(ValueError, match="corners must be >= 1"):
        flatness(network, *data, **SMALL, corners=0)


def test_where_nothing_is_right_no_share_is_lost(data: tuple[Tensor, Tensor]) -> None:
    one = Dense(nn.ReLU()).double()
    wrong = (one(data[0]).mean(dim=0).argmax(dim=-1) + 1) % 3
    result = flatness(one, data[0], wrong, **SMALL)
    assert result.accuracy == 0
    assert np.isnan(result.noise_drop).all()


def test_a_file_of_before_there_was_a_share_is_read(
    network: Dense, data: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "flatness.json"
    flatness(network, *data, **SMALL).save(path)
    content = json.loads(path.read_text())
    del content["noise_drop"], content["arrays"]["noise_drop"]
    path.write_text(json.dumps(content))
    back = Flatness.load(path)
    assert back.noise_drop.shape == (0, 0)
    assert "share of accuracy lost" not in back.table()
    assert len(back.figure().axes) >= 5
