"""Networks of other libraries for the audit: sound ones, and ones with a fault each.

Each is made by a function that imports its library, and takes [T, B, 6]: see `CASES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Case(NamedTuple):
    """A network: its library, how it is made, and the fault's check and layer (None: sound)."""

    library: str
    make: Callable[[], nn.Module]
    kind: str | None = None
    layer: str | None = None


def given() -> Tensor:
    """[T, B, F]; T is 5, for a neuron with a synapse answers late."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 3, 6, generator=generator) * 2


def spikingjelly(part: str) -> Any:
    return importlib.import_module(f"spikingjelly.activation_based.{part}")


def sj(mode: str = "m", **options: Any) -> nn.Module:
    node: nn.Module = spikingjelly("neuron").LIFNode(step_mode=mode, **options)
    return node


class Kept(nn.Module):
    """Adds a share of what it was given last: no library's reset knows of it."""

    def __init__(self) -> None:
        super().__init__()
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        before = self.last if self.last is not None and self.last.shape == x.shape else 0 * x
        self.last = x.detach()
        return x + 0.5 * before


class Flat(nn.Module):
    """A layer that gets its first two dimensions as one."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        made = self.inner(x.flatten(0, 1))
        made = made[0] if isinstance(made, tuple) else made
        return made.unflatten(0, x.shape[:2])


class Center(nn.Module):
    """x less its mean over a dimension."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(self.dim, keepdim=True)


class Detach(nn.Module):
    """No gradient goes back."""

    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


class Swapped(nn.Module):
    """A layer that gets batch first."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.transpose(0, 1)).transpose(0, 1)


class Resetting(nn.Module):
    """Goes through time itself; `each` resets at every timestep."""

    def __init__(self, *, each: bool) -> None:
        super().__init__()
        self.fc, self.lif, self.head = nn.Linear(6, 12), sj("s"), nn.Linear(12, 3)
        self.each = each

    def forward(self, x: Tensor) -> Tensor:
        self.lif.reset()  # type: ignore[operator]
        made = []
        for x_t in x:
            made.append(self.head(self.lif(self.fc(x_t))))
            if self.each:
                self.lif.reset()  # type: ignore[operator]
        return torch.stack(made)


def row(*middle: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), *middle, nn.Linear(12, 3))


def _sj_attention() -> nn.Module:
    return row(sj(), nn.Linear(12, 12), spikingjelly("neuron").IFNode(step_mode="m"))


def snn(**options: Any) -> nn.Module:
    return importlib.import_module("snntorch").Leaky(beta=0.8, **options)  # type: ignore[no-any-return]


class SnnLoop(nn.Module):
    """snnTorch's way: a loop over time, the potential passed on; `wrong` says what isn't so."""

    def __init__(self, wrong: str = "", neuron: Callable[[], nn.Module] = snn) -> None:
        super().__init__()
        self.fc, self.lif, self.head = nn.Linear(6, 12), neuron(), nn.Linear(12, 3)
        self.wrong = wrong
        self.mem: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        mem = torch.zeros(x.shape[1], 12).to(x) if self.mem is None else self.mem
        made = []
        for x_t in x:
            current = self.fc(x_t)
            if self.wrong == "batch":
                current = current - current.mean(0)
            spikes, mem = self.lif(current, mem)
            if self.wrong == "detach":
                mem = mem.detach()
            if self.wrong == "zero":
                mem = torch.zeros_like(mem)
            made.append(self.head(mem if self.wrong == "membrane" else spikes))
        if self.wrong == "keep":
            self.mem = mem.detach()
        return torch.stack(made)


class SnnRecurrent(nn.Module):
    """Spikes come back through weights."""

    def __init__(self) -> None:
        super().__init__()
        recurrent = importlib.import_module("snntorch").RLeaky
        self.fc, self.head = nn.Linear(6, 12), nn.Linear(12, 3)
        self.lif = recurrent(beta=0.8, linear_features=12)

    def forward(self, x: Tensor) -> Tensor:
        spk = mem = torch.zeros(x.shape[1], 12).to(x)
        made = []
        for x_t in x:
            spk, mem = self.lif(self.fc(x_t), spk, mem)
            made.append(self.head(spk))
        return torch.stack(made)


def norse(name: str, *arguments: Any) -> nn.Module:
    return getattr(importlib.import_module("norse.torch"), name)(*arguments)  # type: ignore[no-any-return]


class NorseNet(nn.Module):
    """Norse's whole sequences: (outputs, state)."""

    def __init__(self, neuron: nn.Module, before: nn.Module | None = None) -> None:
        super().__init__()
        self.fc, self.before = nn.Linear(6, 12), before or nn.Identity()
        self.lif, self.head = neuron, nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        made = self.lif(self.before(20 * self.fc(x)))
        return self.head(made[0] if isinstance(made, tuple) else made)


class NorseLoop(nn.Module):
    """A cell called at every timestep; `wrong` says what isn't as it must be."""

    def __init__(self, wrong: str = "") -> None:
        super().__init__()
        self.fc, self.lif, self.head = nn.Linear(6, 12), norse("LIFCell"), nn.Linear(12, 3)
        self.wrong, self.state = wrong, None

    def forward(self, x: Tensor) -> Tensor:
        state, made = self.state, []
        for x_t in x:
            spikes, after = self.lif(20 * self.fc(x_t), state)
            state = None if self.wrong == "forget" else after
            made.append(self.head(spikes))
        if self.wrong == "keep":
            self.state = type(state)(*[part.detach() for part in state])
        return torch.stack(made)


def sinabs(name: str = "LIF", **options: Any) -> nn.Module:
    layers = importlib.import_module("sinabs.layers")
    single = importlib.import_module("sinabs.activation").SingleSpike
    keywords = {"tau_mem": 5.0} if name == "LIF" else {}
    return getattr(layers, name)(**keywords, **{"spike_fn": single, **options})  # type: ignore[no-any-return]


def _sinabs_squeezed() -> nn.Module:
    layers = importlib.import_module("sinabs.layers")
    return row(layers.LIFSqueeze(tau_mem=5.0, num_timesteps=5))


S, N, R, A = "SpikingJelly", "snnTorch", "Norse", "sinabs"
CASES: dict[str, Case] = {
    "SpikingJelly": Case(S, lambda: row(sj())),
    "SpikingJelly, step by step": Case(S, lambda: row(sj("s"))),
    "SpikingJelly, two layers": Case(S, lambda: row(sj(), nn.Linear(12, 12), sj())),
    "SpikingJelly, IF and soft reset": Case(S, lambda: row(sj(v_reset=None), nn.Linear(12, 12))),
    "SpikingJelly, resets itself": Case(S, lambda: Resetting(each=False)),
    "SpikingJelly, detached reset": Case(S, lambda: row(sj(detach_reset=True))),
    "SpikingJelly, learnt tau": Case(
        S, lambda: row(spikingjelly("neuron").ParametricLIFNode(step_mode="m"))
    ),
    "SpikingJelly, time and batch as one": Case(
        S, lambda: row(Flat(sj())), "batch axis", "1.inner"
    ),
    "SpikingJelly, batch first": Case(S, lambda: row(Swapped(sj())), "batch", "1.inner"),
    "SpikingJelly, one layer in mode s": Case(
        S, lambda: row(sj(), nn.Linear(12, 12), sj("s")), "time", "3"
    ),
    "SpikingJelly, reset at every timestep": Case(S, lambda: Resetting(each=True), "time", "lif"),
    "SpikingJelly, state of one's own": Case(S, lambda: row(Kept(), sj()), "state", "1"),
    "SpikingJelly, mean over the batch": Case(S, lambda: row(Center(1), sj()), "batch", "1"),
    "SpikingJelly, mean over time": Case(S, lambda: row(Center(0), sj()), "causality", "1"),
    "SpikingJelly, detached": Case(S, lambda: row(Detach(), sj()), "gradients", "1"),
    "snnTorch": Case(N, SnnLoop),
    "snnTorch, hidden states": Case(N, lambda: row(snn(init_hidden=True))),
    "snnTorch, learnt beta": Case(N, lambda: SnnLoop(neuron=lambda: snn(learn_beta=True))),
    "snnTorch, reset to zero": Case(N, lambda: SnnLoop(neuron=lambda: snn(reset_mechanism="zero"))),
    "snnTorch, recurrent": Case(N, SnnRecurrent),
    "snnTorch, potential is kept": Case(N, lambda: SnnLoop("keep"), "state", "SnnLoop"),
    "snnTorch, mean over the batch": Case(N, lambda: SnnLoop("batch"), "batch", "SnnLoop"),
    "snnTorch, detached potential": Case(N, lambda: SnnLoop("detach"), "gradients", "lif"),
    "snnTorch, potential set to 0": Case(N, lambda: SnnLoop("zero"), "time", "lif"),
    "Norse": Case(R, lambda: NorseNet(norse("LIF"))),
    "Norse, cell": Case(R, NorseLoop),
    "Norse, exponential": Case(R, lambda: NorseNet(norse("LIFEx"))),
    "Norse, recurrent": Case(R, lambda: NorseNet(norse("LIFRecurrent", 12, 12))),
    "Norse, adaptive": Case(R, lambda: NorseNet(norse("LSNN"))),
    "Norse, time and batch as one": Case(
        R, lambda: NorseNet(Flat(norse("LIF"))), "batch axis", "lif.inner"
    ),
    "Norse, state isn't passed on": Case(R, lambda: NorseLoop("forget"), "time", "lif"),
    "Norse, state is kept": Case(R, lambda: NorseLoop("keep"), "state", "NorseLoop"),
    "Norse, mean over the batch": Case(
        R, lambda: NorseNet(norse("LIF"), Center(1)), "batch", "before"
    ),
    "Norse, mean over time": Case(
        R, lambda: NorseNet(norse("LIF"), Center(0)), "causality", "before"
    ),
    "sinabs": Case(A, lambda: row(sinabs())),
    "sinabs, IAF": Case(A, lambda: row(sinabs("IAF"))),
    "sinabs, squeezed": Case(A, _sinabs_squeezed),
    "sinabs, several spikes a timestep": Case(
        A, lambda: row(importlib.import_module("sinabs.layers").LIF(tau_mem=5.0))
    ),
    "sinabs, time first": Case(A, lambda: row(Swapped(sinabs())), "batch", "1.inner"),
    "sinabs, state of one's own": Case(A, lambda: row(Kept(), sinabs()), "state", "1"),
    "sinabs, mean over the batch": Case(A, lambda: row(Center(0), sinabs()), "batch", "1"),
    "sinabs, mean over time": Case(A, lambda: row(Center(1), sinabs()), "causality", "1"),
    "sinabs, detached": Case(A, lambda: row(Detach(), sinabs()), "gradients", "1"),
}
