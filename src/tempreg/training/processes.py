"""The processes that train one network: what they share, and how all hear of one's trouble.

Every process takes every `world`-th sample of a joint batch and weighs its loss by how many these
are, so that the mean over processes, which DDP makes of the gradients, is the gradient of the
joint batch's mean, whether or not the count divides.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from tempreg.errors import RequestError, RunStopped
from tempreg.files import as_word

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Trouble = RequestError | RunStopped | OSError
"""What a person is told in a sentence; anything else is a bug."""

_LOST = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "Broken pipe")
"""How gloo's errors, which have no class of their own, name what happened."""


LET_GO = 0.1
"""Seconds without Python's lock after processes have met for the last time. A thread of gloo's
needs it to let go of the tensors they met by; if the process group is freed before, which holds the
lock and waits for that thread, neither ever ends (PyTorch 2.13)."""


@final
class ProcessLost(RunStopped):
    """Another process of the run ended, or wasn't heard of any more."""


@final
@dataclass(frozen=True)
class Processes:
    """All processes of a run, seen from one of them.

    Attributes:
        fabric: decides how many there are, on which devices; launched by `launch`.
        out: the run's folder, for sentences.
    """

    fabric: Fabric
    out: Path
    _hosts: list[Any] = field(default_factory=list, init=False, repr=False)
    """The group in which hosts meet, where devices have one of their own."""

    @property
    def rank(self) -> int:
        """Which one this is, from 0."""
        return self.fabric.global_rank

    @property
    def world(self) -> int:
        """How many there are."""
        return self.fabric.world_size

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def launch(self) -> None:
        """Start the others, where that is left to us, and meet them."""
        self.fabric.launch()
        if self.world > 1 and self.fabric.device.type != "cpu":
            self._hosts.append(torch.distributed.new_group(backend="gloo"))

    def share(self, samples: int) -> Tensor:
        """This process's places in a joint batch: int64, >= 1 of them.

        Where there are fewer samples than processes, the last ones take the first sample, with
        the weight 0.
        """
        places = torch.arange(samples)[self.rank :: self.world]
        return places if len(places) else torch.zeros(1, dtype=torch.int64)

    def weight(self, samples: int) -> float:
        """What the mean loss over this process's share of a joint batch is multiplied by."""
        own = len(range(self.rank, samples, self.world))
        return own * self.world / samples

    def sum(self, values: Tensor) -> Tensor:
        """Summed over all processes."""
        if self.world == 1:
            return values
        values = values.to(self.fabric.device)
        return torch.as_tensor(self.fabric.all_reduce(values, reduce_op="sum"))

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Whether each of these is set in any process: one word between all, for any number.

        It goes from host to host, so that no process waits for what its device is doing.
        """
        if self.world == 1:
            return flags
        counts = torch.tensor(flags, dtype=torch.float32)
        if self._hosts:
            torch.distributed.all_reduce(counts, group=self._hosts[0])
        else:
            counts = self.sum(counts)
        return tuple(count > 0 for count in counts.tolist())

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, by rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(values, value)
        return values

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Replace them by those of the first process."""
        if self.world > 1:
            for tensor in tensors:
                torch.distributed.broadcast(tensor.detach(), 0)

    def agree(self, trouble: Trouble | None) -> None:
        """Meet the others, and go on if none is in trouble.

        Otherwise the first process raises the first one's trouble, and the others end quietly
        with its exit code.
        """
        found = [(rank, each) for rank, each in enumerate(self.gather(trouble)) if each is not None]
        if not found:
            return
        rank, error = found[0]
        self.let_go()
        if self.world > 1:
            # Its threads would notice that others end, and abort a process that is ending itself.
            torch.distributed.destroy_process_group()
        if not self.first:
            raise SystemExit(_exit_code(error))
        if rank > 0 and not isinstance(error, OSError):
            error.args = (f"{error} (in process {rank} of {self.world})",)
        raise error

    def let_go(self) -> None:
        """What processes do after they have met for the last time; see `LET_GO`."""
        if self.world > 1:
            time.sleep(LET_GO)

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """All processes leave this block together: well, or as `agree` says."""
        trouble: Trouble | None = None
        try:
            yield
        except (RequestError, RunStopped, OSError) as error:
            trouble = error
        self.agree(trouble)

    @contextmanager
    def told_of_losses(self) -> Iterator[None]:
        """A process that ended without a word becomes a sentence in all that waited for it."""
        try:
            yield
            self.let_go()
        except RuntimeError as error:
            if self.world == 1 or isinstance(error, RunStopped) or not _is_loss(error):
                raise
            raise ProcessLost(
                f"process {self.rank} of {self.world} has lost another one, which was killed, "
                "failed as it says itself, or can't be reached: continue with tempreg train "
                f"--resume --out {shlex.quote(as_word(self.out))}"
            ) from None


def _exit_code(trouble: Trouble) -> int:
    if isinstance(trouble, RequestError):
        return 2
    return trouble.exit_code if isinstance(trouble, RunStopped) else 1


def _is_loss(error: RuntimeError) -> bool:
    distributed = torch.distributed.is_available() and isinstance(
        error, torch.distributed.DistError
    )
    return distributed or any(words in str(error) for words in _LOST)
