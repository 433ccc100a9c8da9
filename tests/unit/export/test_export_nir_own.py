"""Networks of anyone's own as NIR graphs: our own interpreter of NIR gives their spikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

nir = pytest.importorskip("nir", reason="needs the package nir (tempreg[nir])")

import tempreg  # noqa: E402
from tempreg.errors import RequestError  # noqa: E402
from tests.nir_interpreter import Interpreter  # noqa: E402
from tests.unit.export.test_export_nir import agreement, events, unsettled  # noqa: E402


def over(module: Any, x: Tensor) -> Tensor:
    return module(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class Plain(nn.Module):
    """The network of docs/own-network.md, deeper: shapes by hand, and a mean over pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, stride=2, padding=1, dilation=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.lif = tempreg.LIF(tau=1.5)
        self.deep = nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=2)
        self.second = tempreg.CubaLIF(tau=2.5, tau_syn=1.8)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        steps, batch = x.shape[:2]
        current = self.norm(self.conv(x.flatten(0, 1))).unflatten(0, (steps, batch))
        spikes = self.lif(current)
        spikes = self.second(over(self.deep, spikes))
        return self.head(spikes.mean(dim=(3, 4)))


class Pools(nn.Module):
    """Every pooling, a norm where no weights are before it, norms of vectors, no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)
        self.first = tempreg.IF(v_threshold=0.6)
        self.largest = nn.MaxPool2d(3, 2, padding=1)
        self.body = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 8, 3, padding=1))
        self.second = tempreg.PLIF(tau=2.0, v_threshold=0.4)
        self.third = tempreg.LIF(v_threshold=0.2)
        self.drop = nn.Dropout(0.3)
        self.hidden = nn.Linear(8 * 3 * 3, 12, bias=False)
        self.vectors = nn.BatchNorm1d(12)
        self.fourth = tempreg.ThresholdLIF()
        self.again = nn.BatchNorm1d(12)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        spikes = over(self.largest, self.first(over(self.norm, x)))
        spikes = self.second(over(self.body, spikes))
        pooled = F.avg_pool2d(spikes.reshape(-1, *spikes.shape[2:]), 3, 1, 1)
        spikes = self.third(pooled.view(*x.shape[:2], *pooled.shape[1:]))
        hidden = self.vectors(self.hidden(self.drop(spikes.flatten(2))).flatten(0, 1))
        spikes = self.fourth(hidden.unflatten(0, x.shape[:2]))
        return self.head(over(self.again, spikes)) / 4


class Residual(nn.Module):
    """Sums: of spikes, of a current and spikes, of a signal with itself, and one network twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.lif = tempreg.LIF(v_threshold=0.3)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.after = tempreg.LIF(tau=1.3, v_threshold=0.5)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last = tempreg.LIF(v_threshold=1.9)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.lif(over(self.stem, x))
        out = self.after(over(self.conv, spikes) + 0.5 * spikes)
        out = out + spikes
        pooled = over(self.pool, out).squeeze((3, 4))
        spikes = self.last(pooled + pooled)
        return self.head(spikes) + self.head(pooled)


@pytest.mark.parametrize("kind", [Plain, Pools, Residual])
def test_the_interpreter_gives_the_networks_spikes(kind: type[nn.Module], tmp_path: Path) -> None:
    torch.manual_seed(4)
    model, x = unsettled(kind()), events(12)
    tempreg.export.nir(model, tmp_path / "own.nir", input_shape=(2, 12, 12))
    graph = nir.read(tmp_path / "own.nir")
    _, spikes, _ = Interpreter(graph, 1e-3).run(x)
    assert all(0 < s.double().mean() < 1 for s in spikes.values()), {
        n: float(s.double().mean()) for n, s in spikes.items()
    }
    different, total = agreement(model, graph, x)
    assert different <= 1e-3 * total


class Calls(nn.Module):
    """What is asked of it, between a convolution and a head."""

    def __init__(self, what: Any, neuron: nn.Module | None = None) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(2, 4, 3), nn.ReLU()
        self.lif, self.head = neuron or tempreg.LIF(), nn.Linear(4, 5)
        self.what = what

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.what(self, over(self.conv, x)).mean((3, 4)))


REFUSED: dict[str, tuple[Any, str]] = {
    "an activation": (lambda m, x: m.act(x), r"ReLU \(in act\) has no form in NIR"),
    "a function": (lambda m, x: torch.sigmoid(x), "torch's sigmoid has no form in NIR"),
    "a product": (lambda m, x: x * x, "torch's mul"),
    "single timesteps": (lambda m, x: torch.stack([*x]), "has no form in NIR"),
    "a loop over time": (
        lambda m, x: m.lif(x, m.lif.initial_state(x))[0], "LIF is called with its state"
    ),
    "time and batch as one": (lambda m, x: m.lif(x.flatten(0, 1)), "lif: neurons take"),
    "batch first": (lambda m, x: m.lif(x.transpose(0, 1)), "torch's transpose"),
    "a condition on values": (lambda m, x: x if x.max() > 0 else -x, "torch's max"),
    "the largest current": (lambda m, x: over(nn.MaxPool2d(2), x), "for spikes alone"),
    "values from elsewhere": (lambda m, x: x + torch.ones(3, 1, 1, 1), "has no form in NIR"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_form_is_refused_by_name(case: str, tmp_path: Path) -> None:
    what, said = REFUSED[case]
    with pytest.raises(RequestError, match=said):
        tempreg.export.nir(Calls(what), tmp_path / "no.nir", input_shape=(2, 8, 8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_time_and_batch_that_change_places_are_refused_at_every_t(
    steps: int, tmp_path: Path
) -> None:
    def swapped(model: Any, x: Tensor) -> Tensor:
        return model.lif(x.flatten(0, 1).unflatten(0, (x.shape[1], x.shape[0])))

    network = Calls(swapped)
    network.num_steps = steps
    with pytest.raises(RequestError, match="torch's unflatten"):
        tempreg.export.nir(network, tmp_path / "no.nir", input_shape=(2, 8, 8))


def test_neurons_and_inputs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    alif = Calls(lambda m, x: m.lif(x), tempreg.ALIF())
    with pytest.raises(RequestError, match="no word for the neurons of lif, ALIF"):
        tempreg.export.nir(alif, tmp_path / "no.nir", input_shape=(2, 8, 8))
    with pytest.raises(RequestError, match="conv can't take what it gets"):
        tempreg.export.nir(Plain(), tmp_path / "no.nir", input_shape=(3, 8, 8))
    with pytest.raises(RequestError, match=r"isn't logits \[T, B, classes\]"):
        tempreg.export.nir(nn.Flatten(0, 1), tmp_path / "no.nir", input_shape=(7,))
    assert not list(tmp_path.iterdir())
