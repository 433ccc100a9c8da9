"""Where time is in each tensor, found by changing inputs from a timestep on.

The calls of a module are taken as one tensor [calls, *shape]. Where its size grows with T, time is
one of its dimensions or a factor of one: entry f (counted flat) belongs to timestep
(f // b) % T for some b. Of all such b those are kept that no change contradicts: one from timestep
t on may not show before t. None left means that an earlier timestep sees a later one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from tempreg.audit.place import Masks
from tempreg.audit.trace import Trace, Visit

Slot = tuple[str, str, int]
"""A module's name, "in" or "out", and which tensor of it."""


@final
@dataclass(frozen=True)
class Stack:
    """All calls' kept entries of one tensor of a module.

    Attributes:
        shape: (calls, *shape of one call).
        flat: the flat index of each kept entry in that, int64.
    """

    shape: tuple[int, ...]
    flat: Tensor

    @property
    def each(self) -> int:
        """Entries of one call."""
        return math.prod(self.shape[1:])


@final
@dataclass(frozen=True)
class Timed:
    """What is known of the time in one tensor of a module.

    Attributes:
        layouts: the b that nothing contradicts; empty where time is in it and none is left.
        carries: whether time is in it.
        early: the smallest share of entries that change before their time, over all b.
    """

    layouts: tuple[int, ...]
    carries: bool
    early: float

    @property
    def acausal(self) -> bool:
        """Whether an earlier timestep sees a later one."""
        return self.carries and not self.layouts


def stack(visits: list[Visit], kind: str, place: int) -> Stack | None:
    """The calls of a module as one tensor; None where they have different shapes."""
    pieces = [v.inputs if kind == "in" else v.outputs for v in visits]
    if any(len(p) <= place for p in pieces):
        return None
    chosen = [p[place] for p in pieces]
    if len({piece.shape for piece in chosen}) != 1 or not len(chosen[0].values):
        return None
    each = math.prod(chosen[0].shape)
    flat = torch.cat([piece.flat + call * each for call, piece in enumerate(chosen)])
    return Stack((len(chosen), *chosen[0].shape), flat)


def label(flat: Tensor, b: int, steps: int) -> Tensor:
    """The timestep of each entry."""
    return (flat // b) % steps


def candidates(shape: tuple[int, ...], dims: list[int], steps: int) -> list[int]:
    """Every b that has time as a factor of one of these dimensions, time outermost first."""
    found: list[int] = []
    for dim in dims:
        stride, size = math.prod(shape[dim + 1 :]), shape[dim] // steps
        for outer in range(1, size + 1):
            if size % outer == 0 and (b := stride * (size // outer)) not in found:
                found.append(b)
    return found


def growing(shape: tuple[int, ...], shorter: tuple[int, ...] | None, steps: int) -> list[int]:
    """The dimensions that are T times something: told by a pass with T - 1, or else by size."""
    if shorter is None:
        return [d for d, n in enumerate(shape) if n in (steps, 2 * steps)]
    if len(shape) != len(shorter):
        return []
    changed = [d for d, (n, m) in enumerate(zip(shape, shorter, strict=True)) if n != m]
    ok = len(changed) == 1 and shape[changed[0]] * (steps - 1) == shorter[changed[0]] * steps
    return changed if ok else []


def time_map(
    base: Trace, shorter: Trace | None, suffixes: dict[int, Masks], steps: int
) -> dict[Slot, Timed]:
    """Of each tensor of each module: where its time is.

    Args:
        base, shorter: passes with T and T - 1 timesteps, the latter where there can be one.
        suffixes: by timestep t: what changes with the inputs from t on.
        steps: T.
    """
    short = {} if shorter is None else shorter.calls()
    found: dict[Slot, Timed] = {}
    for name, visits in base.calls().items():
        for kind in ("in", "out"):
            for place in range(len(visits[0].inputs if kind == "in" else visits[0].outputs)):
                whole = stack(visits, kind, place)
                if whole is None:
                    continue
                less = stack(short[name], kind, place) if name in short else None
                if shorter is not None and less is None:
                    continue
                dims = growing(whole.shape, less.shape if less else None, steps)
                found[name, kind, place] = _timed(whole, dims, visits, kind, place, suffixes, steps)
    return found


def _timed(
    whole: Stack,
    dims: list[int],
    visits: list[Visit],
    kind: str,
    place: int,
    suffixes: dict[int, Masks],
    steps: int,
) -> Timed:
    if not dims:
        return Timed((), False, 0.0)
    side = 0 if kind == "in" else 1
    changed: dict[int, Tensor] = {}
    for t, masks in suffixes.items():
        rows = [masks[v.key][side][place] for v in visits if v.key in masks]
        mask = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.bool)
        if len(mask) == len(whole.flat):
            changed[t] = whole.flat[mask]
    kept, early = [], 1.0
    for b in candidates(whole.shape, dims, steps):
        wrong = {t: int((label(flat, b, steps) < t).sum()) for t, flat in changed.items()}
        if not any(wrong.values()):
            kept.append(b)
        else:
            early = min(early, max(wrong.values()) / len(whole.flat))
    return Timed(tuple(kept), True, 0.0 if kept else early)
