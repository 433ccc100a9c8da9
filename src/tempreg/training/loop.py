"""The training loop: epochs of batches, validation, checkpoints, and a summary at the end.

It takes finished objects and knows no configuration. Everything random comes from
`streams`, everything about the folder from `run_directory`, everything about other processes
from `processes`. A run that was killed anywhere and goes on ends, with as many processes and CPU
threads, with the same weights, bit for bit.
"""

from __future__ import annotations

import shlex
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import nn

from tempreg.data.augment import Augmentation
from tempreg.data.base import DataSet
from tempreg.files import as_word
from tempreg.objectives.base import Objective
from tempreg.objectives.rate import RateLoss
from tempreg.training.arrivals import Arrivals
from tempreg.training.batches import TrainingBatches
from tempreg.training.checkpoint import (
    CheckpointError,
    Position,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)
from tempreg.training.ending import BEST_ON_TEST, kept_evaluations, peak
from tempreg.training.environment import peak_memory_mb
from tempreg.training.evaluate import Totals
from tempreg.training.interrupt import Interrupted, StopRequest, stop_on_signal
from tempreg.training.loading import Loader
from tempreg.training.passes import Passes, make_passes
from tempreg.training.processes import Processes
from tempreg.training.progress import Reporter
from tempreg.training.run_directory import RunDirectory
from tempreg.training.schedule import WarmupCosine
from tempreg.training.scored import Scored
from tempreg.training.splits import Splits
from tempreg.training.step import GradientStep
from tempreg.training.summary import note_best, weight_norm

REFRESH = 0.5
"""Seconds after which the sums of an epoch are fetched once more, to be shown."""

Observer = Callable[[int, nn.Module], None]
"""Told the number of each epoch (from 1) as it ends, and the network, which it may not change."""


@final
@dataclass
class Trainer:
    """Trains one network on one data set, once.

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
        penalties, strengths: see `GradientStep`.
        passes: makes what `GradientStep` has, of the wrapped and the bare network, and a precision.
        keep: "last" or "best", the weights that are kept and tested; or "best-on-test", which are
            the best on what they are tested on, and whose result is marked so.
        eval_precision: "same", evaluation in the precision of training, or "32-true", in float32.
        patience: stop after so many epochs without a better validation accuracy; 0: never.
        balance: train on each class equally often, see `TrainingBatches`.
        test_every: evaluate the test split too after every so many epochs, to see overfitting, and
            choose nothing by it; 0: at the end alone.
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
    eval_precision: str = "same"
    test_every: int = 0
    patience: int = 0
    balance: bool = False
    observer: Observer = lambda epoch, network: None
    workers: int = 0
    finished: Callable[[dict[str, Any]], None] = lambda summary: None
    passes: Callable[..., Passes] = make_passes
    penalties: tuple[str, ...] = ()
    strengths: tuple[str, ...] = ()
    _shown: Scored | None = field(default=None, init=False)
    _shown_at: float = field(default=0.0, init=False)

    def fit(self) -> dict[str, Any]:
        """Train to the end, from the checkpoint where there is one; returns the summary.

        Raises:
            Interrupted: a stop was asked for (Ctrl-C, SIGTERM); the state is saved.
            NonFiniteLoss: with the step, and the first layer that wasn't finite.
            CheckpointError: the checkpoint is damaged or of another network.
            ProcessLost: another process of the run has ended.
            SystemExit: in all processes but the first, where the run stopped as above.
        """
        fabric = self.processes.fabric
        model, optimizer = fabric.setup(self.network, self.optimizer)
        arrivals = Arrivals(fabric.device)
        self.batches = TrainingBatches(
            processes=self.processes,
            network=self.network,
            data=self.data,
            augmentation=self.augmentation,
            seed=self.seed,
            arrivals=arrivals,
            balance=self.balance,
        )
        self.step = GradientStep(
            processes=self.processes,
            network=self.network,
            model=model,
            passes=self.passes(model, self.network, fabric.strategy.precision),
            objective=self.objective,
            optimizer=optimizer,
            schedule=self.schedule,
            batches=self.batches,
            clip_norm=self.clip_norm,
            penalties=self.penalties,
            strengths=self.strengths,
            steps_per_epoch=-(-len(self.data.train) // self.batch_size),
        )
        evaluated = model if self.eval_precision == "same" else self.network
        on_gpu = fabric.device.type == "cuda"
        with Loader(self.data, workers=self.workers, pin=on_gpu) as self.loader:
            self.splits = Splits(
                processes=self.processes,
                model=evaluated,
                objective=self.objective,
                data=self.data,
                loader=self.loader,
                arrivals=arrivals,
                batch_size=self.batch_size,
            )
            return self._fit()

    def _fit(self) -> dict[str, Any]:
        position = self._start()
        with stop_on_signal() as request, self.reporter:
            size = len(self.data.train)
            done = position.epoch * size + position.batch * self.batch_size
            if self.processes.first:
                self.reporter.begin(self.epochs, self.epochs * size, done)
            while not self._ended(position):
                self._epoch(position, request)
        return self._summary(position)

    def _ended(self, position: Position) -> bool:
        """Whether no epoch follows: all are done, or `patience` of them were no better."""
        between = position.batch == 0 and position.best_epoch > 0
        stale = 0 < self.patience <= position.epoch - position.best_epoch
        return position.epoch >= self.epochs or (between and stale)

    def _start(self) -> Position:
        position = Position()
        with self.processes.agreeing():
            if self.run.checkpoint.exists():
                position, precision = load_checkpoint(
                    self.run.checkpoint, self.network, self.step.optimizer, self.settings
                )
                if precision:  # none where the run was continued without loss scaling
                    self.processes.fabric.strategy.precision.load_state_dict(precision)
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
        self._shown, self._shown_at = None, start
        totals = Totals.from_state({"numbers": self.data.numbers} | position.totals)
        self.objective.begin_epoch(position.epoch, self.epochs)
        self.step.model.train()
        batches = self.batches.order(position.epoch).split(self.batch_size)[position.batch :]
        places = [self.batches.to_read(indices) for indices in batches]
        loaded = self.loader.batches("train", places, self.batches.crop_seed(position.epoch))
        for index, indices in enumerate(batches, position.batch):
            stop = self.step(
                position.epoch, index, len(indices), loaded, totals, lambda: request.asked
            )
            if self.processes.first:
                self.reporter.step(len(indices), self._running(totals))
            if stop or (self.processes.world == 1 and request.asked):
                self.step.settle()
                position.batch = index + 1
                position.totals = totals.reduced(self.processes.sum).state()
                position.seconds = seconds_before + time.monotonic() - start
                self._save(position)
                self.processes.agree(
                    Interrupted(
                        f"stopped after batch {index + 1} of epoch {position.epoch + 1}, as asked; "
                        "continue with: tempreg train --resume --out "
                        f"{shlex.quote(as_word(self.run.path))}"
                    )
                )
        self.step.settle()
        self.processes.copy_from_first(self.network.buffers())
        with self.processes.agreeing():
            self.step.check(position.epoch)
        train = totals.reduced(self.processes.sum).evaluation()
        validation = self.splits.evaluate("validation") if len(self.data.validation) else None
        test, seen = None, None
        if self.keep == BEST_ON_TEST:  # as published: by accuracy, then by the mean logits' loss
            test = self.splits.evaluate("test", objective=RateLoss())
        elif self.test_every and (position.epoch + 1) % self.test_every == 0:
            seen = self.splits.evaluate("test")
        position.seconds = seconds_before + time.monotonic() - start
        self._end_epoch(position, train, validation, test, seen)

    def _running(self, totals: Totals) -> Scored:
        """The epoch so far, every half second: of a device, all work must be done for it."""
        if self._shown is None or time.monotonic() - self._shown_at >= REFRESH:
            self._shown, self._shown_at = totals.evaluation(), time.monotonic()
        return self._shown

    def _end_epoch(
        self,
        position: Position,
        train: Scored,
        validation: Scored | None,
        test: Scored | None,
        seen: Scored | None,
    ) -> None:
        """Note what was found; nothing is chosen by `seen`, the test split at this epoch."""
        number = position.epoch + 1
        best = note_best(position, validation, test)
        position.epoch, position.batch, position.totals = number, 0, {}
        if not self.processes.first:
            return
        for split, result in (("train", train), ("validation", validation), ("test", seen)):
            if result is None:
                continue
            self.run.append_metrics(
                epoch=number,
                split=split,
                loss=result.loss,
                **result.terms,
                **result.measured(),
                lr=self.step.optimizer.param_groups[0]["lr"],
                seconds=round(position.seconds, 3),
            )
        if test is not None:
            self.run.append_metrics(
                epoch=number,
                split="test",
                mean_logits_loss=test.loss,
                **test.measured(),
                chosen_on_test=True,
            )
        if best:
            save_weights(self.run.best, self.network)
        self.observer(number, self.network)
        self._save(position)
        if test is None:
            self.reporter.epoch(number, train, validation, best)
        else:
            self.reporter.epoch_by_test(number, train, test, best)

    def _summary(self, position: Position) -> dict[str, Any]:
        """Evaluate the kept weights on every split, the test split mostly for the first time."""
        # Where a run was killed after its last epoch, that epoch did not begin in this process.
        done = position.epoch
        self.objective.begin_epoch(done - 1, self.epochs)
        found = kept_evaluations(
            self.network, self.processes, self.run, self.keep, position, self.splits
        )
        summary = {
            **found.summary(position),
            "settings": self.settings,
            "epochs": done,
            "optimizer_steps": done * self.step.steps_per_epoch,
            "kept_epoch": done if self.keep == "last" else position.best_epoch,
            **({"stopped_early": True} if done < self.epochs else {}),
            **(peak(self.run, found.test) if self.test_every else {}),
            "weight_norm": weight_norm(self.network),
            "seconds": round(position.seconds, 3),
            "peak_memory_mb": peak_memory_mb(self.processes.fabric.device),
            **({"cautions": list(self.data.cautions)} if self.data.cautions else {}),
        }
        if self.processes.first:
            save_weights(self.run.weights, self.network)
            if found.test_items is not None:
                self.run.write_test_items(*found.test_items, self.data.test.ids)
            self.finished(summary)
            self.run.write_summary(summary)
        return summary

    def _save(self, position: Position) -> None:
        if self.processes.first:
            precision = self.processes.fabric.strategy.precision.state_dict()
            save_checkpoint(
                self.run.checkpoint,
                self.network,
                self.step.optimizer,
                position,
                precision,
                self.settings,
            )
