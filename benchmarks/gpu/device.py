"""Where the check computes: an NVIDIA GPU or, in a dry run, the tests' device that isn't there."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import torch

from tempreg.bench.alone import measures_memory, peak_bytes

Work = Callable[[], object]


class Device(ABC):
    """Subclass it for another kind of place; what can't be told of all of them is asked here.

    Attributes:
        place: what tensors and networks are moved to.
        small: whether sizes are those of a dry run.
        setting: a run's setting `device`.
        backend: the neurons' backend that is tried.
        halves: dtypes of half precision that autocast has here.
    """

    place: torch.device
    small: bool
    setting: str
    backend: str
    halves: tuple[torch.dtype, ...]

    @abstractmethod
    def name(self) -> str:
        """Of the machine, for tables."""

    @abstractmethod
    def finish(self) -> None:
        """Wait until there is nothing left to do."""

    @abstractmethod
    def free(self) -> float:
        """Bytes of memory that are free."""

    @abstractmethod
    def peak(self, work: Work) -> float:
        """The most bytes that `work` adds."""

    @abstractmethod
    def waits(self, work: Work) -> list[str]:
        """Places in the sources where the program waits for the device in `work`."""

    @abstractmethod
    def spent(self, work: Work) -> list[tuple[str, float, int]]:
        """Operations of `work`: name, microseconds, calls; the most expensive first."""


@final
class Cuda(Device):
    """The current NVIDIA GPU."""

    def __init__(self) -> None:
        self.place, self.small, self.setting = torch.device("cuda"), False, "cuda"
        self.backend, self.halves = "compiled", (torch.bfloat16, torch.float16)

    def name(self) -> str:
        return torch.cuda.get_device_name()

    def finish(self) -> None:
        torch.cuda.synchronize()

    def free(self) -> float:
        return float(torch.cuda.mem_get_info()[0])

    def peak(self, work: Work) -> float:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        torch.cuda.synchronize()
        return float(torch.cuda.max_memory_allocated() - before)

    def waits(self, work: Work) -> list[str]:
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        told = [w for w in caught if "synchroniz" in str(w.message).lower()]
        return [f"{w.filename}:{w.lineno}" for w in told]

    def spent(self, work: Work) -> list[tuple[str, float, int]]:
        kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        return _profiled(kinds, "self_device_time_total", work, self.finish)


@final
class Dry(Device):
    """The tests' device that isn't there: what a CPU computes, and what a GPU would refuse."""

    def __init__(self, pretended: Any) -> None:
        self.pretended, self.place = pretended, pretended.place
        self.small, self.setting, self.backend = True, "cpu", "eager"
        self.halves = (torch.bfloat16,)

    def name(self) -> str:
        return "dry run: no GPU"

    def finish(self) -> None:
        """It computes at once."""

    def free(self) -> float:
        return math.inf

    def peak(self, work: Work) -> float:
        if not measures_memory():
            work()
            return math.nan
        return float(peak_bytes(work))

    def waits(self, work: Work) -> list[str]:
        from tests.pretend_device import counted, of_kind

        with counted(self.pretended) as seen:
            work()
        return [place for _, place in of_kind(seen, "waits", "to cpu", "to device")]

    def spent(self, work: Work) -> list[tuple[str, float, int]]:
        kinds = [torch.profiler.ProfilerActivity.CPU]
        return _profiled(kinds, "self_cpu_time_total", work, self.finish)


def _profiled(kinds: Any, spent: str, work: Work, finish: Work) -> list[tuple[str, float, int]]:
    work()
    finish()
    with torch.profiler.profile(activities=kinds) as found:
        work()
        finish()
    events = [(e.key, float(getattr(e, spent)), e.count) for e in found.key_averages()]
    return sorted(events, key=lambda event: -event[1])


@contextmanager
def present(kind: str) -> Iterator[Device]:
    """The device while something is tried on it: "cuda" or "dry"."""
    if kind == "cuda":
        yield Cuda()
        return
    import pytest
    from tests.pretend_device import pretend_device
    from tests.pretend_runs import computing_there

    with pretend_device() as made, pytest.MonkeyPatch.context() as patch:
        warnings.filterwarnings("ignore", message="backend 'compiled' cannot run on 'pretend'")
        computing_there(made, patch)
        yield Dry(made)
