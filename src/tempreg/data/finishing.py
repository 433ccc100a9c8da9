"""From what a data set holds, in few bytes, to what a network takes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

Values = float | tuple[float, ...]


@final
@dataclass(frozen=True)
class Finishing:
    """x * scale + offset in float32, where x lies; one value each, or one a channel."""

    scale: Values = 1.0
    offset: Values = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        """float32 in the shape of x, [..., C, H, W] of any real dtype."""
        x = x.to(torch.float32)
        if self == Finishing():
            return x
        return x * _there(self.scale, x.device) + _there(self.offset, x.device)


def finishing(scale: float | Sequence[float], offset: float | Sequence[float]) -> Finishing:
    """`Finishing` of numbers or sequences of them."""
    made = (tuple(v) if isinstance(v, Sequence) else float(v) for v in (scale, offset))
    return Finishing(*made)


@functools.lru_cache(maxsize=64)
def _there(values: Values, device: torch.device) -> float | Tensor:
    """One value as it is; one a channel as float32 [C, 1, 1], sent to a device once."""
    if isinstance(values, tuple):
        return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]
    return values
