"""Spikes and operations: against counts by hand and a plain loop over every connection."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import tempreg
from tempreg.analysis.membrane import potentials
from tempreg.analysis.operations import operations
from tempreg.analysis.spikes import Spikes, spikes


def brute(layer: nn.Conv2d, x: Tensor) -> int:
    """Operations of one sample [C, H, W], connection by connection."""
    (kh, kw), (sh, sw), (ph, pw) = layer.kernel_size, layer.stride, layer.padding
    (dh, dw), total = layer.dilation, 0
    _, height, width = layer(x[None])[0].shape
    inside, filters = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    for o in range(layer.out_channels):
        for c in range(o // filters * inside, (o // filters + 1) * inside):
            for i in range(height):
                for j in range(width):
                    for a in range(kh):
                        for b in range(kw):
                            row, column = i * sh - ph + a * dh, j * sw - pw + b * dw
                            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                                total += int(x[c, row, column] != 0)
    return total


@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
def test_convolutions_count_as_a_loop_over_connections(
    kernel, stride, padding, dilation, groups, seed
) -> None:
    layer = nn.Conv2d(4, 2, kernel, stride, padding, dilation, groups)
    x = (torch.rand(2, 4, 5, 6, generator=torch.Generator().manual_seed(seed)) < 0.3).float() * 2
    counted = operations(layer, x).tolist()
    assert counted == [brute(layer, sample) for sample in x]


class Small(nn.Module):
    """conv 1 -> 2 (3x3, padding 1) on 2x2, LIF, average to 2, linear 2 -> 3."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        self.lif, self.head = tempreg.LIF(), nn.Linear(2, 3)
        nn.init.constant_(self.conv.weight, weight)

    def forward(self, x: Tensor) -> Tensor:
        current = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.head(self.lif(current).mean(dim=(-2, -1)))


def frames() -> Tensor:
    """T = 2, B = 2, 1x2x2: at step 0 one event in each sample, at step 1 none."""
    x = torch.zeros(2, 2, 1, 2, 2)
    x[0, 0, 0, 0, 0] = x[0, 1, 0, 1, 1] = 1
    return x


def test_counts_by_hand() -> None:
    result = spikes(Small(2.0), frames())
    # Padding 1 on 2x2: every pixel lies in the windows of all 4 outputs, of 2 filters.
    np.testing.assert_array_equal(result.operations[0], [8, 0])
    np.testing.assert_array_equal(result.dense[0], [32, 32])
    # h = 2 > 1 everywhere at step 0, reset to 0, so nothing at step 1: averages are 1, then 0.
    np.testing.assert_array_equal(result.rate, [[1, 0]])
    np.testing.assert_array_equal(result.operations[1], [6, 0])
    assert result.kinds == ["AC", "AC"]
    np.testing.assert_allclose(result.energy, [14 * 0.9e-3, 0])
    assert result.dead.tolist() == result.saturated.tolist() == [0.0]
    assert result.membrane.sum() == pytest.approx(1)
    edges = result.membrane_edges
    h = [int(np.searchsorted(edges, value) - 1) for value in (2.0, 0.0)]
    np.testing.assert_array_equal(np.flatnonzero(result.membrane[0]), sorted(h))


def test_what_is_not_binary_multiplies() -> None:
    result = spikes(Small(2.0), frames() * 0.5)  # h = 1 everywhere: not above the threshold
    assert result.kinds == ["MAC", "AC"]
    np.testing.assert_array_equal(result.rate, [[0, 0]])
    np.testing.assert_allclose(result.energy, [8 * 4.6e-3, 0])
    assert result.dead.tolist() == [1.0]
    model = Small(1.5)
    with torch.no_grad():
        model.conv.weight[:, :, :, 0] = 0  # only some outputs fire: averages between 0 and 1
    assert spikes(model, frames()).kinds == ["AC", "MAC"]


def test_saturated() -> None:
    model = Small(2.0)
    assert spikes(model, torch.ones(3, 2, 1, 2, 2)).saturated.tolist() == [1.0]


def test_a_static_stem_counts_once() -> None:
    torch.manual_seed(0)
    model = tempreg.create_model(
        "csnn", num_classes=3, in_channels=1, num_steps=4, input_size=8, channels=(4,)
    )
    images = torch.rand(5, 1, 8, 8)
    once, each = spikes(model, images), spikes(model, images.expand(4, 5, 1, 8, 8))
    assert once.operations[0, 0] == each.operations[0, 0] > 0
    assert not once.operations[0, 1:].any()
    assert each.operations[0, 1:].all()
    np.testing.assert_array_equal(once.operations[1:], each.operations[1:])
    np.testing.assert_array_equal(once.rate, each.rate)


@pytest.mark.parametrize("name", ["csnn", "sew_resnet18"])
def test_chunks_do_not_change_the_numbers(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    options = {"channels": (4, 6)} if name == "csnn" else {"v_threshold": 0.05}
    model = tempreg.create_model(
        name, num_classes=3, in_channels=2, num_steps=2, input_size=16, **options
    )
    x = (torch.rand(2, 5, 2, 16, 16) < 0.2).float()
    before = deepcopy(model.state_dict())
    a, b = spikes(model, x), spikes(model, x, chunk=2)
    assert a.kinds == b.kinds
    for field in Spikes.axes:
        np.testing.assert_allclose(getattr(a, field), getattr(b, field), rtol=1e-6, atol=1e-9)
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert a.kinds[0] == "AC"
    assert "MAC" in a.kinds  # averages over spikes, or spikes added to spikes
    a.save(tmp_path / "spikes.json")
    assert Spikes.load(tmp_path / "spikes.json").kinds == a.kinds
    assert len(a.figure().axes) >= 5


@pytest.mark.parametrize("v_reset", [0.0, -0.5, None])
def test_potentials_fire_where_they_pass_the_threshold(v_reset: float | None) -> None:
    lif = tempreg.LIF(tau=1.5, v_threshold=0.7, v_reset=v_reset)
    x = torch.randn(6, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    s = lif(x)
    h = potentials(lif, x, s)
    torch.testing.assert_close((h > 0.7).double(), s)
    assert 0 < s.mean() < 1


def test_somebody_elses_neurons() -> None:
    class Theirs(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x > 0).float()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.cell, self.head = nn.Linear(4, 6), Theirs(), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.head(self.cell(self.first(step))) for step in x])

    torch.manual_seed(0)
    model, x = Net(), torch.randn(3, 5, 4)
    with pytest.raises(ValueError, match="is_neuron"):
        spikes(model, x)
    result = spikes(model, x, is_neuron=lambda _, m: isinstance(m, Theirs))
    fired = model.cell(model.first(x)).mean(dim=(1, 2))
    np.testing.assert_allclose(result.rate[0], fired, rtol=1e-6)
    np.testing.assert_allclose(result.operations[1], 6 * 2 * fired, rtol=1e-6)
    assert np.isnan(result.membrane).all()


def test_padding_that_repeats_inputs_is_refused() -> None:
    model = Small(1.0)
    model.conv.padding_mode = "reflect"
    with pytest.raises(ValueError, match="'conv' pads with mode 'reflect'"):
        spikes(model, frames())


def test_neurobench_counts_the_same() -> None:
    layers = pytest.importorskip("neurobench.metrics.utils.layers")
    layer = nn.Conv2d(2, 6, 3, 2, 1)
    x = (torch.rand(4, 2, 9, 9, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    theirs, binary = layers.single_layer_MACs(x, layer)
    assert binary
    assert float(operations(layer, x).sum()) == float(theirs)
