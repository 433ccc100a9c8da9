"""The training loop: epochs of batches, validation, checkpoints, and a summary at the end.

It takes finished objects and knows no configuration. Everything random comes from
`streams`, everything about the folder from `run_directory`, everything about other processes
from `processes`. A run that was killed anywhere and goes on ends, with as many processes and CPU
threads, with the same weights, bit for bit.
"""

from __future__ import annotations

import math
import shlex
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tempreg.data.augment import Augmentation
from tempreg.data.base import DataSet
from tempreg.errors import RequestError
from tempreg.objectives.base import Objective
from tempreg.training.batches import TrainingBatches
from tempreg.training.checkpoint import (
    CheckpointError,
    Position,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from tempreg.training.environment import peak_memory_mb
from tempreg.training.evaluate import Evaluation, Totals, evaluate
from tempreg.training.finite import NonFiniteLoss, first_nonfinite, nonfinite_state
from tempreg.training.interrupt import Interrupted, StopRequest, stop_on_signal
from tempreg.training.loading import Batch, Loader
from tempreg.training.precision import scale_is_lost
from tempreg.training.processes import Processes
from tempreg.training.progress import Reporter
from tempreg.training.run_directory import RunDirectory
from tempreg.training.schedule import WarmupCosine

Observer = Callable[[int, nn.Module], None]
"""Told the number of each epoch (from 1) as it ends, and the network, which it may not change."""


@dataclass
class Trainer:
    """Trains one network on one data set, once. Final.

    Attributes:
        processes: launched; their fabric decides on device and precision.
        network: with fresh weights.
        objective: holds or ignores `network`, as it likes.
        optimizer: over the parameters of `network`.
        schedule: the learning rate of each step; `steps_per_epoch` of them in an epoch.
        data: its training split is shuffled and augmented, the others are only evaluated.
        run: the folder, already created and locked.
        reporter: told of every step on the first process.
        epochs, batch_size: >= 1; a batch is shared by all processes, see `processes`.
        seed: of order, augmentation and dropout.
        augmentation: of training batches.
        clip_norm: largest norm of the gradient, or None.
        keep: "last" or "best", the weights that are kept and tested.
        settings: text that stands for all of these; a checkpoint is only good for the same.
        observer: called on the first process after each epoch, before its checkpoint is written:
            again for the same epoch where a run was killed between the two.
        workers: processes that read batches ahead, see `Loader`.
        finished: told the summary on the first process, just before it is written.
    """

    processes: Processes
    network: nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: WarmupCosine
    data: DataSet
    run: RunDirectory
    reporter: Reporter
    epochs: int
    batch_size: int
    seed: int
    augmentation: Augmentation
    clip_norm: float | None
    keep: str
    settings: str
    observer: Observer = lambda epoch, network: None
    workers: int = 0
    finished: Callable[[dict[str, Any]], None] = lambda summary: None

    def fit(self) -> dict[str, Any]:
        """Train to the end, from the checkpoint where there is one; returns the summary.

        Raises:
            Interrupted: a stop was asked for (Ctrl-C, SIGTERM); the state is saved.
            NonFiniteLoss: with the step, and the first layer that wasn't finite.
            CheckpointError: the checkpoint is damaged or of another network.
            ProcessLost: another process of the run has ended.
            SystemExit: in all processes but the first, where the run stopped as above.
        """
        self.fabric = self.processes.fabric
        self.model, self.optimizer = self.fabric.setup(self.network, self.optimizer)
        on_gpu = self.fabric.device.type == "cuda"
        self.batches = TrainingBatches(
            self.processes, self.network, self.data, self.augmentation, self.seed
        )
        with Loader(self.data, workers=self.workers, pin=on_gpu) as self.loader:
            return self._fit()

    def _fit(self) -> dict[str, Any]:
        position = self._start()
        with stop_on_signal() as request, self.reporter:
            size = len(self.data.train)
            done = position.epoch * size + position.batch * self.batch_size
            if self.processes.first:
                self.reporter.begin(self.epochs, self.epochs * size, done)
            while position.epoch < self.epochs:
                self._epoch(position, request)
        return self._summary(position)

    def _start(self) -> Position:
        position = Position()
        with self.processes.agreeing():
            if self.run.checkpoint.exists():
                position, precision = load_checkpoint(
                    self.run.checkpoint, self.network, self.optimizer, self.settings
                )
                self.fabric.strategy.precision.load_state_dict(precision)
            elif self.processes.first and self.run.read_metrics():
                warnings.warn(
                    f"{self.run.path} has no checkpoint: the run starts again from the first epoch",
                    stacklevel=4,
                )
            if self.processes.first:
                self.run.drop_metrics_from(position.epoch + 1)
        if len(set(self.processes.gather((position.epoch, position.batch)))) > 1:
            self.processes.agree(
                CheckpointError(
                    f"not all processes find the same checkpoint in {self.run.path}: to go on, it "
                    "must be on a file system that all nodes share"
                )
            )
        if not self.processes.first:
            position.totals = Totals.from_state(position.totals).emptied().state()
        return position

    def _epoch(self, position: Position, request: StopRequest) -> None:
        """Train from `position` to the end of its epoch, validate, save."""
        start, seconds_before = time.monotonic(), position.seconds
        totals = Totals.from_state(position.totals)
        self.model.train()
        batches = self.batches.order(position.epoch).split(self.batch_size)[position.batch :]
        places = [self.batches.to_read(indices) for indices in batches]
        loaded = self.loader.batches("train", places)
        for index, indices in enumerate(batches, position.batch):
            self._step(position, index, len(indices), loaded, totals)
            if self.processes.any(request.asked):
                position.batch = index + 1
                position.totals = totals.reduced(self.processes.sum).state()
                position.seconds = seconds_before + time.monotonic() - start
                self._save(position)
                self.processes.agree(
                    Interrupted(
                        f"stopped after batch {index + 1} of epoch {position.epoch + 1}, as asked; "
                        "continue with: tempreg train --resume --out "
                        f"{shlex.quote(str(self.run.path))}"
                    )
                )
        self.processes.copy_from_first(self.network.buffers())
        with self.processes.agreeing():
            self._check_steps(position.epoch)
        train = totals.reduced(self.processes.sum).evaluation()
        validation = self._evaluate("validation")
        position.seconds = seconds_before + time.monotonic() - start
        self._end_epoch(position, train, validation)

    def _step(
        self,
        position: Position,
        index: int,
        size: int,
        loaded: Iterator[Batch],
        totals: Totals,
    ) -> None:
        """One gradient step on a joint batch of `size`."""
        trouble: RequestError | NonFiniteLoss | None = None
        try:
            batch = next(loaded)
        except RequestError as error:
            trouble = error
        self._agree(trouble)
        x, y = self.batches.augmented(batch, position.epoch, index, size)
        step = position.epoch * self._steps_per_epoch + index
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule(step)
        outputs = self.model(x)
        loss = self.objective(outputs, y)
        if not torch.isfinite(loss):
            trouble = self._nonfinite(x, position.epoch, index)
        self._agree(trouble)
        self.optimizer.zero_grad()
        weight = self.processes.weight(size)
        self.fabric.backward(loss * weight)
        if self.clip_norm is not None:
            # A norm that isn't finite is left to mixed precision's scaler, or to the next loss.
            self.fabric.clip_gradients(
                self.model, self.optimizer, max_norm=self.clip_norm, error_if_nonfinite=False
            )
        self.optimizer.step()
        totals.add(outputs, y, loss.detach(), self.objective, counts=weight > 0)
        if self.processes.first:
            self.reporter.step(size, totals.evaluation())

    def _check_steps(self, epoch: int) -> None:
        """NonFiniteLoss where an epoch (from 0) ended with weights that can't move any more."""
        found = nonfinite_state(self.network, self.optimizer)
        if found:
            raise NonFiniteLoss(
                f"the optimizer's {found} is not finite after epoch {epoch + 1}, so that it moves "
                "no more: its gradient or the square of it overflowed; a lower objective.lam or "
                "optimizer.lr, or an optimizer.clip_norm, may help"
            )
        if scale_is_lost(self.fabric.strategy.precision):
            raise NonFiniteLoss(
                f"the gradients overflow float16 at every scale of the loss, up to epoch "
                f"{epoch + 1}: choose precision bf16-mixed or 32-true"
            )

    def _agree(self, trouble: RequestError | NonFiniteLoss | None) -> None:
        """`Processes.agree`, in less time where there is none."""
        if self.processes.any(trouble is not None):
            self.processes.agree(trouble)

    def _end_epoch(self, position: Position, train: Evaluation, validation: Evaluation) -> None:
        number = position.epoch + 1
        best = validation.accuracy > position.best_accuracy
        if best:
            position.best_epoch, position.best_accuracy = number, validation.accuracy
        position.epoch, position.batch, position.totals = number, 0, {}
        if not self.processes.first:
            return
        for split, result in (("train", train), ("validation", validation)):
            self.run.append_metrics(
                epoch=number,
                split=split,
                loss=result.loss,
                **result.terms,
                accuracy=result.accuracy,
                accuracy_per_step=result.accuracy_per_step,
                lr=self.optimizer.param_groups[0]["lr"],
                seconds=round(position.seconds, 3),
            )
        if best:
            save_weights(self.run.best, self.network)
        self.observer(number, self.network)
        self._save(position)
        self.reporter.epoch(number, train, validation, best)

    def _summary(self, position: Position) -> dict[str, Any]:
        """Evaluate the kept weights on every split, the test split for the first time.

        Where the last epoch's are kept, the best ones by validation are tested beside them.
        """
        best_is_last = position.best_epoch == self.epochs
        best_test = None
        if not best_is_last:
            last = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
            with self.processes.agreeing():
                if self.processes.first:
                    load_weights(self.run.best, self.network)
            self.processes.copy_from_first(self.network.state_dict().values())
            if self.keep == "last":
                best_test = self._evaluate("test")
                self.network.load_state_dict(last)
        items: list[Tensor] = []
        results = {name: self._evaluate(name) for name in ("train", "validation")}
        results["test"] = test = self._evaluate("test", items)
        correct = self._of_all(torch.cat(items, dim=1), len(self.data.test))
        at_best = best_test or test
        summary = {
            "test_accuracy": test.accuracy,
            "val_accuracy": results["validation"].accuracy,
            "train_accuracy": results["train"].accuracy,
            "generalization_gap": results["train"].accuracy - test.accuracy,
            "accuracy_per_step": test.accuracy_per_step,
            "mean_accuracy_over_steps": _mean(test.accuracy_per_step),
            "val_mean_accuracy_over_steps": _mean(results["validation"].accuracy_per_step),
            "train_mean_accuracy_over_steps": _mean(results["train"].accuracy_per_step),
            "test_loss": test.loss,
            "train_loss": results["train"].loss,
            "settings": self.settings,
            "epochs": self.epochs,
            "kept_epoch": position.best_epoch if self.keep == "best" else self.epochs,
            "best_val_epoch": position.best_epoch,
            "best_val_accuracy": position.best_accuracy,
            "test_accuracy_at_best_val": at_best.accuracy,
            "test_mean_accuracy_over_steps_at_best_val": _mean(at_best.accuracy_per_step),
            "weight_norm": weight_norm(self.network),
            "seconds": round(position.seconds, 3),
            "peak_memory_mb": peak_memory_mb(self.fabric.device),
        }
        if self.processes.first:
            save_weights(self.run.weights, self.network)
            self.run.write_test_items(correct, self.data.test.ids)
            self.finished(summary)
            self.run.write_summary(summary)
        return summary

    @property
    def _steps_per_epoch(self) -> int:
        return -(-len(self.data.train) // self.batch_size)

    def _evaluate(self, split: str, items: list[Tensor] | None = None) -> Evaluation:
        with self.processes.agreeing():
            totals = evaluate(
                self.model,
                self.objective,
                self.data.split(split),
                batch_size=self.batch_size,
                device=self.fabric.device,
                rank=self.processes.rank,
                world=self.processes.world,
                read=partial(self.loader.batches, split),
                items=items,
            )
        result = totals.reduced(self.processes.sum).evaluation()
        if not math.isfinite(result.loss):
            self.processes.agree(
                NonFiniteLoss(
                    f"the loss on the {split} split is {result.loss}: the last steps diverged; a "
                    "lower optimizer.lr or an optimizer.clip_norm may help"
                )
            )
        return result

    def _of_all(self, correct: Tensor, samples: int) -> Tensor:
        """What each process found for its samples, bool [T, n], as bool [T, samples]."""
        whole = torch.zeros(len(correct), samples)
        whole[:, self.processes.rank :: self.processes.world] = correct.float()
        return self.processes.sum(whole).bool().cpu()

    def _save(self, position: Position) -> None:
        if self.processes.first:
            precision = self.fabric.strategy.precision.state_dict()
            save_checkpoint(
                self.run.checkpoint,
                self.network,
                self.optimizer,
                position,
                precision,
                self.settings,
            )

    def _nonfinite(self, x: Tensor, epoch: int, index: int) -> NonFiniteLoss:
        terms = ", ".join(f"{name} {float(v):g}" for name, v in self.objective.terms.items())
        self.batches.seed_dropout(epoch, index)
        culprit = first_nonfinite(self.network, x, self.model)
        penalty = self.objective.terms.get("penalty")
        advice = "a lower optimizer.lr or an optimizer.clip_norm may help"
        if penalty is not None and not math.isfinite(float(penalty)):
            advice = "a lower objective.lam or optimizer.lr may help"
        if not torch.isfinite(x).all():
            advice = "mend the data (tempreg data check)"
        return NonFiniteLoss(
            f"the loss is not finite at epoch {epoch + 1}, batch {index + 1} ({terms}); the first "
            f"non-finite numbers are in {culprit}; {advice}"
        )


def weight_norm(network: nn.Module) -> float:
    """||w|| over all parameters of two and more dimensions: what a penalty of weights shrinks."""
    squares = [p.detach().double().square().sum() for p in network.parameters() if p.ndim >= 2]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
