"""Batches on their way to where they are computed with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import final

import torch
from torch import Tensor

from tempreg.data.base import Split
from tempreg.training.loading import Batch


@final
class Arrivals:
    """Moves batches as a `Loader` gives them to a device, and finishes them there.

    To a CUDA device they go beside what it computes, from page-locked memory in a stream of their
    own, in few bytes: counts and pixels become float32 where they arrive.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, batch: Batch, finished: Callable[[Tensor], Tensor]) -> Batch:
        """Inputs and targets on the device; `finished` is that of the batch's split."""
        if self._stream is None:
            x, y = (tensor.to(self.device, non_blocking=True) for tensor in batch)
            return finished(x), y
        here = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._stream):
            x, y = (tensor.to(self.device, non_blocking=True) for tensor in batch)
        here.wait_stream(self._stream)
        for tensor in (x, y):
            tensor.record_stream(here)
        return finished(x), y

    def of(self, batches: Iterable[Batch], split: Split) -> Iterator[Batch]:
        """All of these, of one split."""
        return (self(batch, split.finished) for batch in batches)
