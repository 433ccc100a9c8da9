"""Batches read ahead: by this process, or by others while the network computes.

The batches and their order depend on the indices alone, so a run has the same weights with any
number of workers, and goes on in the middle of an epoch with none of a loader's state saved.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from tempreg.data.base import SPLITS, DataSet, Split
from tempreg.errors import RequestError, RunStopped

Batch = tuple[Tensor, Tensor]
_Place = tuple[str, NDArray[np.int64], "int | None"]
"""A split and indices, an array, since a tensor that is sent keeps a file open while it lives; and
the seed of random crops, if any."""


@final
class WorkerLost(RunStopped):
    """A process that read data ahead was ended from outside."""


@final
class Loader:
    """Reads batches of a data set's splits, in a given order.

    Use it in a `with` statement, at the end of which its processes end. They are started at the
    first batch and serve all splits. Where one is killed, at any moment, the statement ends with
    WorkerLost.

    Args:
        data: with workers, its splits must be picklable.
        workers: processes that read ahead, two batches each; 0: this process reads.
        pin: whether batches go into page-locked memory, from which they reach a GPU while it
            computes.
    """

    def __init__(self, data: DataSet, *, workers: int = 0, pin: bool = False) -> None:
        self._plan = _Plan()
        self._started = False
        batches = _Batches({name: data.split(name) for name in SPLITS})
        # Torch's loader costs a tenth of a millisecond a batch, and does nothing here but ask.
        self._here = None if workers or pin else batches
        self._loader: DataLoader[Batch | RequestError] | None = DataLoader(
            batches,
            batch_size=None,
            sampler=self._plan,
            num_workers=workers,
            # A fork of a process that has run OpenMP threads may hang.
            multiprocessing_context="spawn" if workers else None,
            persistent_workers=workers > 0,
            pin_memory=pin,
            # Without one of its own it would draw from the global generator.
            generator=torch.Generator(),
        )

    def batches(
        self, split: str, indices: Sequence[Tensor], seed: int | None = None
    ) -> Iterator[Batch]:
        """Inputs and targets of each of these batches of a split; one such pass at a time.

        Inputs are as `Split.compact` gives them; with a seed, of random crops, see `Split.cropped`.

        Raises:
            DataError: as the split raised it, at the place of the batch that can't be read.
        """
        if self._loader is None:
            raise ValueError("this loader is closed")
        self._plan.places = [(split, batch.numpy(), seed) for batch in indices]
        for batch in self._read():
            if isinstance(batch, RequestError):
                raise batch
            yield batch[0], batch[1]

    def _read(self) -> Iterator[Batch | RequestError]:
        """What stands in the plan."""
        if self._here is not None:
            return map(self._here.__getitem__, self._plan)
        assert self._loader is not None
        with _interrupts_wait(not self._started):
            iterator = iter(self._loader)
        self._started = True
        return iterator

    def close(self) -> None:
        """End the processes."""
        self._loader = None

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()
        # Torch raises it wherever this process is when it hears of it, and has no class for it.
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker (pid"):
            raise WorkerLost(
                "a process that reads data ahead was killed, perhaps because memory ran out: "
                "continue with --resume, and with fewer --workers if that happens again"
            ) from None


@final
class _Plan(Sampler[_Place]):
    """The batches of the current pass."""

    def __init__(self) -> None:
        self.places: list[_Place] = []

    def __iter__(self) -> Iterator[_Place]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


@final
class _Batches(Dataset["Batch | RequestError"]):
    """Whole batches by split and indices."""

    def __init__(self, splits: Mapping[str, Split]) -> None:
        self.splits = splits

    def __getitem__(self, place: _Place) -> Batch | RequestError:
        name, indices, seed = place
        try:
            split, rows = self.splits[name], torch.from_numpy(indices)
            return split.compact(rows, seed), split.targets[rows]
        except RequestError as error:
            return error  # raised again by `batches`; from a worker it would come with a traceback


@contextmanager
def _interrupts_wait(wait: bool) -> Iterator[None]:
    """Ctrl-C is delivered after the block; processes that start within never see it.

    They inherit the blocked signal, and so leave it to this process to end them.
    """
    if not wait or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # where it starts only within, it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
