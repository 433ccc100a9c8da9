"""One forward pass as its modules saw it: what went into each call and what came out.

Of every tensor a fixed sample of entries is kept (all, up to `MOST`), and three means over all
entries, so that memory stays bounded whatever the network's size.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

MOST = 1 << 13
Key = tuple[str, int]


@final
@dataclass(frozen=True)
class Piece:
    """A tensor that a module took or gave.

    Attributes:
        shape: its shape.
        index: flat indices of the entries kept, int64; None: all.
        values: these entries, float64.
        scale: the largest finite size among the values.
        means: of x, x^2 and sin(3x) over all entries, float64 [3]; empty where not asked for.
    """

    shape: tuple[int, ...]
    index: Tensor | None
    values: Tensor
    scale: float
    means: Tensor

    @property
    def flat(self) -> Tensor:
        """The flat index of each value."""
        return torch.arange(len(self.values)) if self.index is None else self.index


@final
@dataclass
class Visit:
    """One call of a module; `call` counts from 0 for each module."""

    name: str
    call: int
    inputs: list[Piece]
    outputs: list[Piece] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """Which call of which module."""
        return (self.name, self.call)


@final
class Trace:
    """The calls of one pass in the order in which they ended, and what the network returned."""

    def __init__(self) -> None:
        self.visits: list[Visit] = []
        self.result: Any = None

    def by_key(self) -> dict[Key, Visit]:
        """Each call by the module's name and its number."""
        return {visit.key: visit for visit in self.visits}

    def calls(self) -> dict[str, list[Visit]]:
        """The calls of each module, modules in the order in which their first call ended."""
        found: dict[str, list[Visit]] = {}
        for visit in self.visits:
            found.setdefault(visit.name, []).append(visit)
        return {name: sorted(made, key=lambda v: v.call) for name, made in found.items()}


def tensors(value: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dicts, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [t for item in value.values() for t in tensors(item)]
    if isinstance(value, (tuple, list)):
        return [t for item in value for t in tensors(item)]
    return []


@contextmanager
def recording(model: nn.Module, *, means: bool = False) -> Iterator[Trace]:
    """The calls of all modules inside, the model itself as ""."""
    trace, pieces = Trace(), _Pieces(means)
    counts: dict[str, int] = {}
    open_calls: list[Visit] = []

    def before(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            call = counts[name] = counts.get(name, -1) + 1
            given = [pieces.of(t) for t in tensors([args, kwargs])]
            open_calls.append(Visit(name, call, given))

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            while open_calls[-1].name != name:  # calls that ended in an error somebody caught
                open_calls.pop()
            visit = open_calls.pop()
            visit.outputs = [pieces.of(t) for t in tensors(output)]
            trace.visits.append(visit)

        return hook

    handles = []
    try:
        for name, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(before(name), with_kwargs=True))
            handles.append(module.register_forward_hook(after(name)))
        yield trace
    finally:
        for handle in handles:
            handle.remove()


_INDICES: dict[int, Tensor] = {}


def usual_index(count: int) -> Tensor | None:
    """The entries kept of a tensor of so many: the same ones each time; None for all."""
    if count <= MOST:
        return None
    if count not in _INDICES:
        generator = torch.Generator().manual_seed(count)
        _INDICES[count] = torch.randint(count, (MOST,), generator=generator).unique()
    return _INDICES[count]


@final
class _Pieces:
    """Samples of tensors; one that several modules hand on unchanged is sampled once."""

    def __init__(self, means: bool) -> None:
        self.means = means
        self.seen: dict[int, tuple[Any, int, Piece]] = {}

    def of(self, x: Tensor) -> Piece:
        """The piece of a tensor."""
        if id(x) in self.seen:
            alive, version, piece = self.seen[id(x)]
            if alive() is x and version == x._version:
                return piece
        piece = piece_of(x, means=self.means)
        self.seen[id(x)] = (weakref.ref(x), x._version, piece)
        return piece


def piece_of(x: Tensor, *, means: bool) -> Piece:
    """The usual entries of a tensor, and its means where asked for."""
    plain = x.detach()
    if plain.is_sparse:
        plain = plain.to_dense()
    if plain.is_complex():
        plain = torch.view_as_real(plain)
    flat = plain.reshape(-1).cpu()
    chosen = usual_index(len(flat))
    values = (flat if chosen is None else flat[chosen]).to(torch.float64)
    values = values.clone() if values.data_ptr() == flat.data_ptr() else values
    size = float(values.abs().max()) if len(values) else 0.0
    if not math.isfinite(size):
        finite = values[values.isfinite()]
        size = float(finite.abs().max()) if len(finite) else 0.0
    told = torch.zeros(0, dtype=torch.float64)
    if means and len(flat):
        wide = flat if flat.is_floating_point() else flat.to(torch.float32)
        told = torch.stack(
            [t.mean(dtype=torch.float64) for t in (wide, wide * wide, (3 * wide).sin())]
        )
    return Piece(tuple(plain.shape), chosen, values, size, told)
