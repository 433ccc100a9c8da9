"""What is drawn for a batch: first all of it, on the CPU, which then goes to the batch at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import final

import torch
from torch import Tensor

_ALIGNED = 16
"""Bytes: where each tensor of a shared buffer may begin."""


@final
class Change:
    """A function of a batch, and the tensors drawn for it, which it takes after the batch.

    Args:
        make: (batch, *draws) -> batch.
        draws: on the CPU.
    """

    def __init__(self, make: Callable[..., Tensor], *draws: Tensor) -> None:
        self.make, self.draws = make, draws


def changed(x: Tensor, changes: Sequence[Change]) -> Tensor:
    """x after all of these, in their order; what they drew is sent to it together."""
    arrived = iter(sent([draw for change in changes for draw in change.draws], x.device))
    for change in changes:
        x = change.make(x, *(next(arrived) for _ in change.draws))
    return x


def sent(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Tensors of the CPU on `device`, by one copy that nobody waits for."""
    if device.type == "cpu" or not tensors:
        return list(tensors)
    sizes = [tensor.numel() * tensor.element_size() for tensor in tensors]
    starts = [0]
    for size in sizes:
        starts.append(-(-(starts[-1] + size) // _ALIGNED) * _ALIGNED)
    packed = torch.empty(starts[-1], dtype=torch.uint8, pin_memory=device.type == "cuda")
    places = list(zip(tensors, starts, sizes, strict=False))
    for tensor, start, size in places:
        packed[start : start + size] = tensor.contiguous().reshape(-1).view(torch.uint8)
    there = packed.to(device, non_blocking=True)
    return [
        there[start : start + size].view(tensor.dtype).reshape(tensor.shape)
        if prod(tensor.shape)
        else torch.empty(tensor.shape, dtype=tensor.dtype, device=device)
        for tensor, start, size in places
    ]
