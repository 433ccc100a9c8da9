"""The two ways to run a network one timestep at a time: its modules, or its exported C."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from tempreg.errors import RequestError
from tempreg.export.c.graph import check_known
from tempreg.export.c.library import Library, compiler
from tempreg.export.errors import ExportError
from tempreg.foreign import sees_later
from tempreg.models.base import SpikingNetwork
from tempreg.ops.cbuild import KernelUnavailable

State = Any
"""A tensor, or a tuple of tensors, [B, ...] each: what a neuron's `initial_state` gives."""


class Stepping(ABC):
    """The states of a stream's samples."""

    name: ClassVar[Literal["torch", "events"]]

    @abstractmethod
    def step(self, frames: Tensor) -> Tensor:
        """Logits [B, classes] of frames [B, C, H, W]; after an error the states are as before."""

    @abstractmethod
    def forget(self) -> None:
        """No samples."""

    @abstractmethod
    def begin(self, rows: Tensor) -> None:
        """Samples at `rows` (int64) are new."""

    @abstractmethod
    def keep(self, which: Tensor) -> None:
        """Those where `which` (bool [B]) is false leave."""


def make_stepping(network: nn.Module, backend: str) -> Stepping:
    """The way that is asked for, or "auto"; RequestError where it can't be."""
    if backend not in ("auto", "torch", "events"):
        raise RequestError(f"unknown backend {backend!r}: choose one of auto, torch, events")
    if name := sees_later(network):
        raise RequestError(
            f"{name} has psn neurons, whose spikes depend on later timesteps, so that there is no "
            "answer before the last and a stream can't step it: take masked_psn or sliding_psn for "
            "the neuron"
        )
    if backend == "torch":
        return TorchStepping(network)
    parameter = next(network.parameters(), None)
    plain = parameter is not None and parameter.device.type == "cpu"
    if plain and parameter is not None and parameter.dtype == torch.float32:
        try:
            check_known(network, "take backend torch")
            assert isinstance(network, SpikingNetwork)  # of which the known ones are
            return EventStepping(network)
        except (ExportError, KernelUnavailable) as error:
            if backend == "events":
                raise RequestError(f"backend events: {error}") from None
    elif backend == "events":
        raise RequestError("backend events runs on a CPU, in float32: take backend torch")
    return TorchStepping(network)


@final
class _Carried(nn.Module):
    """A neuron whose state is handed from call to call."""

    def __init__(self, neuron: Any) -> None:
        super().__init__()
        self.neuron: Any = neuron
        self.state: State = None

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of the next timestep."""
        state = self.neuron.initial_state(x) if self.state is None else self.state
        spikes: Tensor
        spikes, self.state = self.neuron(x, state)
        return spikes


@final
class TorchStepping(Stepping):
    """The network's own modules, with its weights; only the neurons are exchanged, in a copy."""

    name = "torch"

    def __init__(self, network: nn.Module) -> None:
        shared = {id(t): t for t in (*network.parameters(), *network.buffers())}
        self.network = copy.deepcopy(network, shared).eval()
        for parent in list(self.network.modules()):
            for name, child in list(parent.named_children()):
                if hasattr(child, "initial_state") and not isinstance(parent, _Carried):
                    setattr(parent, name, _Carried(child))
        self.neurons = [m for m in self.network.modules() if isinstance(m, _Carried)]
        if not self.neurons:
            raise RequestError(
                f"{type(network).__name__} has none of tempreg's neurons, whose state goes in and "
                "out: a stream can't step it"
            )

    @override
    def step(self, frames: Tensor) -> Tensor:
        before = [neuron.state for neuron in self.neurons]
        try:
            logits: Tensor = self.network(frames.unsqueeze(0))[0]
        except BaseException:
            self._set(before)
            raise
        return logits

    def _set(self, states: list[State]) -> None:
        for neuron, state in zip(self.neurons, states, strict=True):
            neuron.state = state

    @override
    def forget(self) -> None:
        self._set([None] * len(self.neurons))

    @override
    def begin(self, rows: Tensor) -> None:
        for neuron in self.neurons:
            fresh = neuron.neuron.initial_state(_like(neuron.state))
            neuron.state = _each(lambda s, f: s.index_copy(0, rows, f[rows]), neuron.state, fresh)

    @override
    def keep(self, which: Tensor) -> None:
        for neuron in self.neurons:
            neuron.state = _each(lambda s: s[which], neuron.state)


def _like(state: State) -> Tensor:
    """An input [1, B, ...] such as led to the state."""
    first: Tensor = state[0] if isinstance(state, tuple) else state
    return first.unsqueeze(0)


def _each(change: Any, state: State, *others: State) -> State:
    if isinstance(state, tuple):
        return tuple(change(*each) for each in zip(state, *others, strict=True))
    return change(state, *others)


@final
class EventStepping(Stepping):
    """The exported C: sample by sample, in time that follows the events."""

    name = "events"

    def __init__(self, network: SpikingNetwork) -> None:
        compiler()
        self.network = network
        self.library: Library | None = None
        self.states: list[Any] = []

    @override
    def step(self, frames: Tensor) -> Tensor:
        size = tuple(frames.shape[1:])
        if self.library is None:
            self.library = Library(self.network, (size[1], size[2]))
        library = self.library
        if size != library.shape:
            raise ValueError(f"frames of {[*library.shape]} are wanted, got {[*size]}")
        if not self.states:
            self.states = [library.state() for _ in frames]
        rows = frames.to(torch.float32).contiguous()
        pairs = zip(self.states, rows, strict=True)
        return torch.stack([library.step(state, row) for state, row in pairs])

    @override
    def forget(self) -> None:
        self.states = []

    @override
    def begin(self, rows: Tensor) -> None:
        assert self.library is not None
        for row in rows.tolist():
            self.states[row] = self.library.state()

    @override
    def keep(self, which: Tensor) -> None:
        kept = zip(self.states, which.tolist(), strict=True)
        self.states = [state for state, stays in kept if stays]
