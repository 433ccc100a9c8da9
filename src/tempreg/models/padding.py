"""Sequences of unequal length in one batch: where each ends, and what follows from that.

A batch [T, B, ...] holds each sequence from its first timestep on, and zeros after its last. A
sequence ends with its last frame that isn't blank: silence within it counts, silence after it is
padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from tempreg.unwrap import unwrap

_REAL: ContextVar[Tensor | None] = ContextVar("real", default=None)
_INSIDE: list[bool] = []
"""An entry for each `only` that goes on, in any thread: torch.compile reads no context variable."""


def lengths_of(x: Tensor) -> Tensor:
    """Timesteps of each sequence, int64 [B], of frames [T, B, ...]: at least 1."""
    there = (x != 0).flatten(2).any(dim=2)
    places = torch.arange(1, len(x) + 1, device=x.device)[:, None]
    return (there * places).amax(dim=0).clamp(min=1)


def lengths_for(model: nn.Module, x: Tensor) -> Tensor | None:
    """As `lengths_of`, where the model takes sequences of unequal length; else None."""
    padded = getattr(unwrap(model), "padded", False)
    return lengths_of(x) if padded and x.ndim == 5 else None


def real(lengths: Tensor, steps: int) -> Tensor:
    """Where a batch isn't padding: bool [T, B]."""
    return torch.arange(steps, device=lengths.device)[:, None] < lengths


def held(logits: Tensor, lengths: Tensor) -> Tensor:
    """Logits [T, B, K] whose mean so far stays, after a sequence's end, what it was there."""
    mask = real(lengths, len(logits))[..., None]
    inside = torch.where(mask, logits, 0.0)
    return torch.where(mask, logits, inside.sum(dim=0) / lengths[:, None])


def only(lengths: Tensor, steps: int) -> AbstractContextManager[None]:
    """Within it, norms in training take their statistics of what isn't padding."""
    return within(real(lengths, steps))


@contextmanager
def within(mask: Tensor) -> Iterator[None]:
    """As `only`, of where a batch isn't padding, bool [T, B]."""
    token = _REAL.set(mask)
    _INSIDE.append(True)
    try:
        yield
    finally:
        _INSIDE.pop()
        _REAL.reset(token)


def has_padding(norm: nn.Module) -> bool:
    """Whether a norm is to leave frames out of its statistics now."""
    if not (_INSIDE and norm.training):
        return False
    mask = _REAL.get()
    return mask is not None and not bool(mask.all())


def mask_now() -> Tensor | None:
    """As `real_now`; None outside of `only`."""
    return _REAL.get() if _INSIDE else None


def real_now() -> Tensor:
    """Where a batch isn't padding, bool [T, B], within `only`."""
    mask = _REAL.get()
    assert mask is not None
    return mask


def of_real_rows(norm: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """norm(rows) [T * B, ...] of those that are no padding; 0 in the others."""
    flat = real_now().flatten()
    normal = norm(rows[flat])
    return torch.zeros_like(rows).index_put((flat.nonzero().squeeze(1),), normal)
