"""One gradient step of a run, by all its processes, and what is said where it can't be taken.

On a CPU a loss that isn't finite is seen before the gradient is computed. On a GPU nobody waits for
it: the optimizer skips the step there, and the next step, or the end of the epoch, finds out. The
sentence is the same, for the weights are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from tempreg.errors import RequestError
from tempreg.models.padding import lengths_for
from tempreg.objectives.base import Objective
from tempreg.training.batches import TrainingBatches
from tempreg.training.evaluate import Totals
from tempreg.training.finite import NonFiniteLoss, first_nonfinite, nonfinite_state
from tempreg.training.flag import Flag
from tempreg.training.loading import Batch
from tempreg.training.passes import Passes
from tempreg.training.precision import scale_is_lost
from tempreg.training.processes import Processes
from tempreg.training.schedule import WarmupCosine


@final
@dataclass(frozen=True)
class _Taken:
    """A step whose loss nobody has looked at yet."""

    finite: Flag | bool
    x: Tensor
    terms: dict[str, Tensor]
    epoch: int
    index: int


@final
@dataclass
class GradientStep:
    """What moves the weights.

    Attributes:
        processes: each takes its share of a batch.
        network, model: bare, and as its processes and its precision wrap it.
        passes: how a batch goes through `model`.
        objective, schedule, batches: see `Trainer`.
        optimizer: as its processes wrap it.
        clip_norm: largest norm of the gradient, or None.
        steps_per_epoch: what the schedule counts in.
        penalties, strengths: settings that make the penalty large, and the whole loss or the
            weights; named where these overflow.
    """

    processes: Processes
    network: nn.Module
    model: nn.Module
    passes: Passes
    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: WarmupCosine
    batches: TrainingBatches
    clip_norm: float | None
    steps_per_epoch: int
    penalties: tuple[str, ...] = ()
    strengths: tuple[str, ...] = ()
    _unseen: _Taken | None = field(default=None, init=False)

    def __call__(
        self,
        epoch: int,
        index: int,
        size: int,
        loaded: Iterator[Batch],
        totals: Totals,
        asked: Callable[[], bool],
    ) -> bool:
        """Step on the `index`-th batch of an epoch (both from 0), of `size` samples in all.

        Returns whether the run is to stop after it: whether that is `asked` in any process.

        Raises:
            NonFiniteLoss: with the first layer that wasn't finite.
            RequestError: a sample can't be read.
        """
        trouble: RequestError | None = None
        try:
            batch = next(loaded)
        except RequestError as error:
            trouble = error
        later = self._skips_by_itself()
        stop = self._meet(trouble, asked() if later else False)
        x, y = self.batches.augmented(batch, epoch, index, size)
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule(epoch * self.steps_per_epoch + index)
        outputs = self.passes.outputs(x)
        loss = self.objective(outputs, y, lengths_for(self.network, x))
        if later:
            finite = torch.isfinite(loss.detach())
            self._unseen = _Taken(Flag(finite), x, dict(self.objective.terms), epoch, index)
            loss = self._skipping(loss, finite)
        else:
            fine = math.isfinite(loss.item())
            taken = _Taken(fine, x, self.objective.terms, epoch, index)
            self._look(taken, self.processes.any(not fine)[0])
        self.optimizer.zero_grad()
        fabric, weight = self.processes.fabric, self.processes.weight(size)
        fabric.backward(loss if weight == 1.0 else loss * weight)
        self.passes.finish()
        if self.clip_norm is not None:
            # A norm that isn't finite is left to mixed precision's scaler, or to the next loss.
            fabric.clip_gradients(
                self.model, self.optimizer, max_norm=self.clip_norm, error_if_nonfinite=False
            )
        self.optimizer.step()
        totals.add(outputs, y, loss.detach(), self.objective, counts=weight > 0)
        if later and self.processes.world > 1:
            return stop
        return self.processes.any(asked())[0]

    def settle(self) -> None:
        """NonFiniteLoss where the last step's loss, still to be looked at, isn't finite."""
        self._meet(None, False)

    def check(self, epoch: int) -> None:
        """NonFiniteLoss where an epoch (from 0) ended with weights that can't move any more."""
        found = nonfinite_state(self.network, self.optimizer)
        if found:
            raise NonFiniteLoss(
                f"the optimizer's {found} is not finite after epoch {epoch + 1}, so that it moves "
                "no more: its gradient or the square of it overflowed; a lower "
                f"{_either(*self.penalties, *self.strengths, 'optimizer.lr')}, or an "
                "optimizer.clip_norm, may help"
            )
        if scale_is_lost(self.processes.fabric.strategy.precision):
            raise NonFiniteLoss(
                f"the gradients overflow float16 at every scale of the loss, up to epoch "
                f"{epoch + 1}: choose precision bf16-mixed or 32-true"
            )

    def _skips_by_itself(self) -> bool:
        """Whether the device can leave a step out without being told by this process."""
        if self.processes.fabric.device.type == "cpu":
            return False
        fused = all(group.get("fused") for group in self.optimizer.param_groups)
        return fused or self._scaler() is not None

    def _scaler(self) -> object | None:
        return getattr(self.processes.fabric.strategy.precision, "scaler", None)

    def _skipping(self, loss: Tensor, finite: Tensor) -> Tensor:
        """The loss, of which the optimizer takes no step where it isn't `finite`."""
        if self._scaler() is not None:  # which skips where a gradient is not finite
            return loss * torch.where(finite, 1.0, torch.nan)
        optimizer: Any = getattr(self.optimizer, "optimizer", self.optimizer)
        optimizer.found_inf = (~finite).float()
        return loss

    def _meet(self, trouble: RequestError | None, asked: bool) -> bool:
        """End where any process is in trouble, or the step before had no finite loss in one.

        Returns whether a stop is asked for in any: all this is one word between the processes.
        """
        taken, self._unseen = self._unseen, None
        bad = taken is not None and not taken.finite
        any_trouble, any_bad, any_asked = self.processes.any(trouble is not None, bad, asked)
        if any_trouble and not any_bad:
            self.processes.agree(trouble)
        if taken is not None:
            self._look(taken, any_bad)
        return any_asked

    def _look(self, taken: _Taken, any_bad: bool) -> None:
        """NonFiniteLoss where the loss of this step isn't finite in `any` process.

        All of them compute it again: where layers meet in the forward pass, as SyncBatchNorm's do,
        one alone would wait for the others for ever.
        """
        if not any_bad:
            return
        self.batches.seed_dropout(taken.epoch, taken.index)
        culprit = first_nonfinite(self.network, taken.x, self.passes.outputs)
        self.processes.agree(None if taken.finite else self._nonfinite(taken, culprit))

    def _nonfinite(self, taken: _Taken, culprit: str) -> NonFiniteLoss:
        terms = ", ".join(f"{name} {float(v):g}" for name, v in taken.terms.items())
        penalty = taken.terms.get("penalty")
        lower = f"a lower {_either(*self.strengths, 'optimizer.lr')}"
        advice = f"{lower}, or an optimizer.clip_norm, may help"
        if penalty is not None and not math.isfinite(float(penalty)):
            lower = _either(*self.penalties, *self.strengths, "optimizer.lr")
            advice = f"a lower {lower} may help"
        if not torch.isfinite(taken.x).all():
            advice = "mend the data (tempreg data check)"
        return NonFiniteLoss(
            f"the loss is not finite at epoch {taken.epoch + 1}, batch {taken.index + 1} "
            f"({terms}); the first non-finite numbers are in {culprit}; {advice}"
        )


def _either(*names: str) -> str:
    """As "a, b or c"."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
