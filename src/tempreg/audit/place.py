"""Which layer is to blame: the first whose inputs are as they must be and whose output isn't."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tempreg.audit.trace import Key, Piece, Trace, Visit

Masks = dict[Key, tuple[list[Tensor], list[Tensor]]]
"""Of each call: which of the kept entries of its inputs and of its outputs changed."""
Bad = Callable[[Visit], bool]


def differs(a: Piece, b: Piece, tolerance: float) -> Tensor:
    """bool of each kept entry; all of them where the shapes differ."""
    if a.shape != b.shape or len(a.values) != len(b.values):
        return torch.ones(len(a.values), dtype=torch.bool)
    scale = max(a.scale, b.scale)
    same_nan = a.values.isnan() & b.values.isnan()
    return ~((a.values - b.values).abs() <= tolerance * scale) & ~same_nan & (a.values != b.values)


def changes(base: Trace, other: Trace, tolerance: float = 1e-6) -> Masks:
    """What changed between two passes, by call; calls that only one of them has are left out."""
    others = other.by_key()
    return {
        visit.key: (
            _changed(visit.inputs, others[visit.key].inputs, tolerance),
            _changed(visit.outputs, others[visit.key].outputs, tolerance),
        )
        for visit in base.visits
        if visit.key in others
    }


def _changed(a: list[Piece], b: list[Piece], tolerance: float) -> list[Tensor]:
    """By tensor; all of them where one call has more tensors than the other."""
    if len(a) != len(b):
        return [torch.ones(max(len(piece.values), 1), dtype=torch.bool) for piece in a or b]
    return [differs(x, y, tolerance) for x, y in zip(a, b, strict=True)]


def either(a: Masks, b: Masks) -> Masks:
    """What changed in one of two."""
    found: Masks = {}
    for key in a.keys() & b.keys():
        inputs, outputs = (
            [x | y for x, y in zip(a[key][side], b[key][side], strict=False)] for side in (0, 1)
        )
        found[key] = (inputs, outputs)
    return found


def first_bad(visits: Sequence[Visit], bad_in: Bad, bad_out: Bad) -> Visit | None:
    """The call to blame: the first to end with fine inputs and a bad output that reaches something.

    Where a call's inputs are bad before any such, what made them is code of a module around it:
    the innermost one whose own inputs are fine. A call whose output nothing takes, as a monitor's,
    is passed over.
    """
    for position, visit in enumerate(visits):
        later = visits[position + 1 :]
        if bad_in(visit):
            around = (v for v in later if _holds(v.name, visit.name) and not bad_in(v))
            if found := next(around, None):
                return found
        elif bad_out(visit) and (
            visit.name == "" or any(bad_in(v) or (v.name == "" and bad_out(v)) for v in later)
        ):
            return visit
    return None


def _holds(outer: str, inner: str) -> bool:
    return outer != inner and (outer == "" or inner.startswith(f"{outer}."))


def where(visit: Visit, visits: Sequence[Visit], bad_in: Bad, network: str) -> tuple[str, str]:
    """The layer's name, and how to say where it is."""
    if visit.name:
        return visit.name, f"the layer {visit.name!r}"
    after = next((v.name for v in visits if v.name and bad_in(v)), None)
    before = f", before {after!r} is called" if after else ""
    return network, f"{network}.forward() itself{before}"
