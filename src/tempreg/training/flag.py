"""A yes or no that a device finds, and that is asked for later, so that nobody waits for it."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor


@final
class Flag:
    """A 0-d bool of a device, on its way to this process.

    It waits, where it must, for the work before the flag alone: what was given to the device since
    goes on meanwhile.
    """

    def __init__(self, value: Tensor) -> None:
        self._here = value.to("cpu", non_blocking=True)  # of CUDA, into page-locked memory
        self._arrived: torch.cuda.Event | None = None
        if value.device.type == "cuda":
            self._arrived = torch.cuda.Event()
            self._arrived.record(torch.cuda.current_stream(value.device))

    def __bool__(self) -> bool:
        if self._arrived is not None:
            self._arrived.synchronize()
        return bool(self._here)
