"""The picture of spikes: a raster of one sample, and no panel without anything in it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import tempreg
from tempreg.analysis import Flatness, flatness, spikes
from tempreg.analysis.anytime import anytime
from tempreg.analysis.spikes import IN_RASTER


class Fires(nn.Module):
    """A neuron layer of another library's kind: spikes where its input is above a half."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x > 0.5).to(x.dtype)


class Bare(nn.Module):
    """[T, B, N] -> logits [T, B, N] without a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.fires = Fires()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.fires(x)


def is_neuron(name: str, module: nn.Module) -> bool:
    return isinstance(module, Fires)


def titles(result: object) -> list[str]:
    figure = result.figure()  # type: ignore[attr-defined]
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_the_raster_is_the_first_sample_s_spikes_from_timestep_1() -> None:
    x = torch.rand(3, 2, 100, generator=torch.Generator().manual_seed(0))
    result = spikes(Bare(), x, is_neuron=is_neuron)
    shown = torch.linspace(0, 99, IN_RASTER).round().long()
    np.testing.assert_array_equal(result.raster[0], (x[:, 0] > 0.5)[:, shown].T.double())
    raster = next(
        axes for axes in result.figure().axes if axes.get_title() == "Spikes of the first sample"
    )
    marks = raster.lines[0]
    assert len(marks.get_xdata()) == int(result.raster.sum())
    assert set(marks.get_xdata()) == {1, 2, 3}
    few = spikes(Bare(), x[..., :5], is_neuron=is_neuron)
    assert np.isfinite(few.raster[0]).all(axis=1).sum() == 5


def test_what_is_not_there_has_no_panel() -> None:
    bare = spikes(Bare(), torch.rand(3, 2, 6), is_neuron=is_neuron)
    assert titles(bare) == ["Firing rate", "Dead and saturated", "Spikes of the first sample"]
    model = tempreg.create_model(
        "csnn", num_classes=3, in_channels=1, num_steps=2, input_size=8, channels=(2, 2)
    )
    x, y = torch.rand(2, 4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    assert len(titles(spikes(model, x))) == 6
    flat: Flatness = flatness(model, x, y, points=3, plane_points=1, draws=1)
    assert not any("2-D" in title for title in titles(flat))


def test_energy_that_cannot_be_known_says_why() -> None:
    x, y = torch.rand(3, 4, 5), torch.tensor([0, 1, 2, 3])
    unknown = anytime(Bare(), x, y)
    assert np.isnan(unknown.exit_energy).all()
    assert "not known: Bare has no layer of neurons that is known here" in unknown.table()
    assert "energy isn't known" in unknown.figure().axes[-1].get_xlabel()
    free = anytime(Bare(), x, y, is_neuron=is_neuron)
    assert "not known: no linear layer or convolution ran" in free.settings["energy"]
    model = tempreg.create_model(
        "csnn", num_classes=4, in_channels=1, num_steps=3, input_size=8, channels=(2, 2)
    )
    images = torch.rand(3, 4, 1, 8, 8)
    energy = spikes(model, images).energy
    found = anytime(model, images, y, thresholds=(0.0, 1.0))
    np.testing.assert_allclose(found.exit_energy, [energy[0], energy.sum()])
    assert "energy" not in found.settings
