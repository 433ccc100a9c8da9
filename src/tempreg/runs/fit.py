"""A whole run: made of settings, trained into a folder."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from tempreg.cautions import SEES_LATER
from tempreg.config import ConfigError, RunConfig, config_text
from tempreg.data import Augmentation, DataSet
from tempreg.data.base import SPLITS
from tempreg.data.single import describe
from tempreg.errors import RequestError
from tempreg.foreign import sees_later
from tempreg.models import WeightsReport
from tempreg.models.convolution import check_conv
from tempreg.models.norms import NormOverTime
from tempreg.objectives import Objective
from tempreg.ops.dispatch import resolve_backend
from tempreg.options.own import is_own
from tempreg.runs.build import (
    as_config_errors,
    build_augmentation,
    build_data,
    build_model,
    build_objective,
    build_optimizer,
    build_schedule,
    check_batches,
    choose_passes,
    load_first_weights,
    weigh_classes,
)
from tempreg.runs.card import write_card
from tempreg.runs.identity import as_begun, check_same_run, digest, finished_summary
from tempreg.runs.launch import (
    as_continued,
    as_launched,
    build_fabric,
    device_remark,
    device_type,
    joins_others,
    with_sync_batch_norm,
    workers,
)
from tempreg.runs.observers import observer_for
from tempreg.runs.own.given import NOTHING_GIVEN, Given
from tempreg.runs.own.network import check_network, unread
from tempreg.runs.own.record import records, warn_of_changed_code
from tempreg.runs.own.trust import EVERYTHING, Trust, code_in
from tempreg.runs.precision import Precision, settled
from tempreg.runs.strengths import penalties_in, strengths_in
from tempreg.training.arithmetic import arithmetic
from tempreg.training.board import Board
from tempreg.training.environment import environment
from tempreg.training.loop import Trainer
from tempreg.training.passes import make_passes
from tempreg.training.processes import Processes
from tempreg.training.progress import Reporter
from tempreg.training.run_directory import RunDirectory


@final
@dataclass(frozen=True)
class Parts:
    """What a run is trained with.

    Attributes:
        data, augmentation, network, objective, optimizer: as the settings have them.
        backend: of the neurons, as it was decided.
        taken: which weights of a file the network begins with, where one is named.
        board: where TensorBoard's files are asked for.
        code: what is noted of code of the user's, for environment.json.
        precision: as it was decided.
    """

    data: DataSet
    augmentation: Augmentation
    network: nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    backend: str
    taken: WeightsReport | None
    board: Board | None
    code: dict[str, str]
    precision: Precision


def train(
    config: RunConfig,
    out: Path,
    *,
    resume: bool = False,
    reporter: Reporter | None = None,
    trust: Trust = EVERYTHING,
    given: Given = NOTHING_GIVEN,
) -> dict[str, Any]:
    """Train a network by `config` into the folder `out`; returns the summary.

    Args:
        config: all settings.
        out: a new or empty folder; with `resume`, possibly one with a run of equal settings, which
            is continued, or only read where it is finished. Others may be workers, devices,
            num_nodes and tensorboard; device, backend and precision, too, but for other weights.
        resume, reporter: whether to continue, and who is told of progress; silent by default.
        trust: code that may be imported: all, where the caller wrote the settings.
        given: objects that stand for what settings name.

    Where the run has several processes, each calls this, and the first one returns or raises; the
    others return too, or end with SystemExit.

    Raises:
        ConfigError, ValueError: settings that don't fit each other, the data or the machine.
        PackageMissing, CodeNotTrusted: what a setting needs isn't installed, or may not run.
        RunDirectoryError: `out` can't be used.
        Interrupted, NonFiniteLoss, CheckpointError, ProcessLost: see `Trainer.fit`.
    """
    config = trained = as_launched(config)
    run = RunDirectory(out)
    continuing = resume and run.config.exists()
    parts: Parts | None = None
    trouble: RequestError | None = None
    try:
        if continuing:
            check_same_run(run, config)
            if run.summary.exists():
                return finished_summary(run)
            trained = as_begun(run, config)
            config = as_continued(config, trained)
        else:
            run.check_new()
        parts = _made(config, run, trust, given)
        config = replace(config, precision=parts.precision.name)
    except RequestError as error:
        if not joins_others():
            raise
        trouble = error
    processes = Processes(build_fabric(config), out)
    with processes.told_of_losses(), _computing(config, processes), ExitStack() as held:
        processes.launch()
        processes.agree(trouble)
        assert parts is not None  # else there was trouble, and all have agreed to end
        trainer = _trainer(config, trained, run, parts, processes, reporter)
        with processes.agreeing():
            if processes.first:
                _hold(held, run, parts)
                _begin(config, trained, run, parts, processes, continuing=continuing)
        return trainer.fit()


def _computing(config: RunConfig, processes: Processes) -> AbstractContextManager[None]:
    """How the run's device computes, by its settings."""
    device = processes.fabric.device.type
    return arithmetic(device, tf32=config.tf32, deterministic=config.deterministic)


def _hold(held: ExitStack, run: RunDirectory, parts: Parts) -> None:
    """What is closed when training ends: the folder's lock, and TensorBoard's files."""
    held.enter_context(run.locked())
    if parts.board is not None:
        held.enter_context(parts.board)


def _made(config: RunConfig, run: RunDirectory, trust: Trust, given: Given) -> Parts:
    """Everything that the settings ask for, or the sentence that says what can't be had."""
    trust.check_all(config)
    device = device_type(config)
    with as_config_errors():
        data = given.data_for(config) or build_data(config, trust)
        backend = resolve_backend(config.backend, device)
        check_conv(config.conv, device)
        augmentation = build_augmentation(config, data)
        built = given.model_for(config, data) or build_model(config, data, trust)
        if is_own(config.model.name):
            check_network(config, data, built)
        check_batches(config, data, built)
        taken = None if run.checkpoint.exists() else load_first_weights(config, built)
        choose_passes(config, built)
        network = with_sync_batch_norm(built) if config.sync_batch_norm else built
        objective = given.objective or build_objective(config, network, trust, data.numbers)
        weigh_classes(config, objective, data)
        if sees_later(network):
            data = replace(data, cautions=(*data.cautions, SEES_LATER))
        code = records(code_in(config), trust)
    board = Board(run) if config.tensorboard else None
    optimizer = build_optimizer(config, network, device)
    _check_shares(config, data)
    precision = settled(config, run, network, objective, data)
    decided = backend, taken, board, code, precision
    return Parts(data, augmentation, network, objective, optimizer, *decided)


def _trainer(
    config: RunConfig,
    trained: RunConfig,
    run: RunDirectory,
    parts: Parts,
    processes: Processes,
    reporter: Reporter | None,
) -> Trainer:
    """`trained` are the settings that the run is known by, `config` those it goes on with."""
    reporter = reporter if reporter and processes.first else Reporter()
    said = device_remark(config)
    for remark in (*([said] if said else ()), *parts.data.remarks, *parts.data.cautions):
        reporter.remark(remark)
    if is_own(config.model.name) and (others := unread(config)):
        reporter.remark(
            f"{config.model.name} doesn't read {', '.join(others)}, which are settings of networks "
            "by name; its own are in model.own"
        )
    if parts.taken is not None:
        reporter.remark(
            f"weights of {config.model.weights}: {len(parts.taken.matched)} layers taken, "
            f"{len(parts.taken.ignored)} tensors ignored"
        )
    return Trainer(
        processes=processes,
        network=parts.network,
        objective=parts.objective,
        optimizer=parts.optimizer,
        schedule=build_schedule(config, len(parts.data.train)),
        data=parts.data,
        run=run,
        reporter=reporter,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        augmentation=parts.augmentation,
        clip_norm=config.optimizer.clip_norm,
        passes=partial(make_passes, recompute=config.recompute, truncate=config.truncate),
        penalties=penalties_in(config),
        strengths=strengths_in(config),
        keep=config.keep,
        test_every=config.test_every,
        patience=config.patience,
        balance=config.balance,
        eval_precision=config.eval_precision,
        settings=digest(trained),
        observer=observer_for(config, parts.data, run, parts.board),
        workers=workers(config),
        finished=partial(write_card, run, trained, parts.data, parts.network),
    )


def _begin(
    config: RunConfig,
    trained: RunConfig,
    run: RunDirectory,
    parts: Parts,
    processes: Processes,
    *,
    continuing: bool,
) -> None:
    """Make the folder, or note where the run goes on."""
    how = config.precision, config.conv
    now = environment(parts.backend, processes.fabric.device, processes.world, *how)
    now |= parts.code | parts.precision.measured
    if continuing:
        warn_of_changed_code(run, parts.code)
        _warn_of_shares(run, parts.network, processes.world)
        run.note_environment(now, begun={"precision": trained.precision, "conv": trained.conv})
    else:
        run.check_new()
        run.create(config_text(trained), now, describe(parts.data))


def _check_shares(config: RunConfig, data: DataSet) -> None:
    """ConfigError where there are too few samples for every process to have one."""
    processes = config.devices * config.num_nodes
    for name in SPLITS:
        unused = name == "validation" and not len(data.validation)
        if len(data.split(name)) < processes and not unused:
            raise ConfigError(
                f"the {name} split of {data.name} has {len(data.split(name))} samples, too few for "
                f"{processes} processes: give fewer devices"
            )


def _warn_of_shares(run: RunDirectory, network: nn.Module, processes: int) -> None:
    """A warning where batch norm goes on over other parts of a batch than before."""
    before = run.read_json(run.environment).get("processes", 1)
    if before != processes and any(
        isinstance(module, (nn.BatchNorm2d, NormOverTime)) for module in network.modules()
    ):
        warnings.warn(
            f"batch norm went over the shares of {before} processes and now goes over those of "
            f"{processes}: the result will not be that of a run that kept to one number",
            stacklevel=4,
        )
