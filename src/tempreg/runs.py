"""Whole runs: train one into a folder, read one back, evaluate one."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from tempreg.build import (
    as_config_errors,
    build_augmentation,
    build_data,
    build_model,
    build_objective,
    build_optimizer,
    build_schedule,
    check_batches,
    load_first_weights,
)
from tempreg.config import (
    ConfigError,
    RunConfig,
    config_from_dict,
    config_text,
    config_to_dict,
    read_config,
)
from tempreg.data import SOURCES, DataSet
from tempreg.data.base import SPLITS
from tempreg.data.single import describe
from tempreg.errors import RequestError
from tempreg.launch import (
    as_launched,
    build_fabric,
    device_type,
    joins_others,
    on_one_device,
    with_sync_batch_norm,
)
from tempreg.models import SpikingNetwork
from tempreg.objectives import Objective
from tempreg.observers import observer_for
from tempreg.ops.dispatch import resolve_backend
from tempreg.report.model_card import CardFacts, write_model_card
from tempreg.training.board import Board
from tempreg.training.checkpoint import load_weights
from tempreg.training.environment import environment
from tempreg.training.evaluate import Evaluation, evaluate
from tempreg.training.finite import NonFiniteLoss
from tempreg.training.loop import Trainer
from tempreg.training.processes import Processes
from tempreg.training.progress import Reporter, Silent
from tempreg.training.run_directory import RunDirectory, RunDirectoryError

_NO_MEANING = ("workers", "devices", "num_nodes", "tensorboard")
"""Settings of how a run is computed, not of what: it may go on with other ones."""

_ON_CARD = (
    "seed", "epochs", "batch_size", "num_steps", "objective.name", "objective.lam",
    "objective.decay", "objective.eta", "model.name", "model.tau", "optimizer.name", "optimizer.lr",
)  # fmt: skip
"""Settings that a model card shows even where they are the defaults."""


def train(
    config: RunConfig, out: Path, *, resume: bool = False, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Train a network by `config` into the folder `out`; returns the summary.

    Args:
        config: all settings.
        out: a new or empty folder; with `resume`, possibly one with a run of equal settings (but
            for workers, devices, num_nodes and tensorboard), which is continued, or only read
            where it is finished.
        resume: whether to continue.
        reporter: told about progress; silent by default.

    Where the run has several processes, each calls this, and the first one returns or raises; the
    others return too, or end with SystemExit.

    Raises:
        ConfigError, ValueError: settings that don't fit each other, the data or the machine.
        PackageMissing: an optional package that a setting needs is not installed.
        RunDirectoryError: `out` can't be used.
        Interrupted, NonFiniteLoss, CheckpointError, ProcessLost: see `Trainer.fit`.
    """
    config = as_launched(config)
    run = RunDirectory(out)
    continuing = resume and run.config.exists()
    trouble: RequestError | None = None
    try:
        if continuing:
            check_same_run(run, config)
            if run.summary.exists():
                return finished_summary(run)
        else:
            run.check_new()
        with as_config_errors():
            data = build_data(config)
            backend = resolve_backend(config.backend, device_type(config))
            augmentation = build_augmentation(config, data)
            built = build_model(config, data)
            check_batches(config, data, built)
            taken = None if run.checkpoint.exists() else load_first_weights(config, built)
            network = with_sync_batch_norm(built) if config.sync_batch_norm else built
            objective = build_objective(config, network)
        board = Board(run) if config.tensorboard else None
        optimizer = build_optimizer(config, network)
        _check_shares(config, data)
    except RequestError as error:
        if not joins_others():
            raise
        trouble = error
    processes = Processes(build_fabric(config), out)
    with processes.told_of_losses(), ExitStack() as held:
        processes.launch()
        processes.agree(trouble)
        trainer = Trainer(
            processes=processes,
            network=network,
            objective=objective,
            optimizer=optimizer,
            schedule=build_schedule(config, len(data.train)),
            data=data,
            run=run,
            reporter=reporter if reporter and processes.first else Silent(),
            epochs=config.epochs,
            batch_size=config.batch_size,
            seed=config.seed,
            augmentation=augmentation,
            clip_norm=config.optimizer.clip_norm,
            keep=config.keep,
            settings=_digest(config),
            observer=observer_for(config, data, run, board),
            workers=config.workers,
            finished=partial(_write_card, run, config, data, network),
        )
        for remark in data.remarks:
            trainer.reporter.remark(remark)
        if taken is not None:
            trainer.reporter.remark(
                f"weights of {config.model.weights}: {len(taken.matched)} layers taken, "
                f"{len(taken.ignored)} tensors ignored"
            )
        with processes.agreeing():
            if processes.first:
                held.enter_context(run.locked())
                if board is not None:
                    held.enter_context(board)
                now = environment(backend, processes.fabric.device, processes.world)
                if continuing:
                    _warn_of_shares(run, network, processes.world)
                    run.note_environment(now)
                else:
                    run.check_new()
                    run.create(config_text(config), now, describe(data))
        return trainer.fit()


def _check_shares(config: RunConfig, data: DataSet) -> None:
    """ConfigError where there are too few samples for every process to have one."""
    processes = config.devices * config.num_nodes
    for name in SPLITS:
        if len(data.split(name)) < processes:
            raise ConfigError(
                f"the {name} split of {data.name} has {len(data.split(name))} samples, too few for "
                f"{processes} processes: give fewer devices"
            )


def _warn_of_shares(run: RunDirectory, network: nn.Module, processes: int) -> None:
    """A warning where batch norm goes on over other parts of a batch than before."""
    before = run.read_json(run.environment).get("processes", 1)
    if before != processes and any(
        isinstance(module, nn.BatchNorm2d) for module in network.modules()
    ):
        warnings.warn(
            f"batch norm went over the shares of {before} processes and now goes over those of "
            f"{processes}: the result will not be that of a run that kept to one number",
            stacklevel=3,
        )


def check_same_run(run: RunDirectory, config: RunConfig) -> None:
    """RunDirectoryError where the run in the folder has other settings, naming the first."""
    before = dict(_flat(config_to_dict(read_config(run.config))))
    for name, value in _flat(config_to_dict(config)):
        if before[name] != value and name not in _NO_MEANING:
            raise RunDirectoryError(
                f"the run in {run.path} has {name}: {before[name]!r}, not {value!r}: continue it "
                "with its own settings, or give another --out"
            )


def load_run(path: Path, **changes: Any) -> tuple[RunConfig, DataSet, SpikingNetwork, Objective]:
    """A finished run, read back: its configuration, data, trained network and objective.

    `changes` replace settings of the configuration, by their names at its top level.
    """
    run = RunDirectory(path)
    run.check_run(finished=True)
    settings = config_to_dict(read_config(run.config)) | changes
    config = on_one_device(config_from_dict(settings, "settings"))
    resolve_backend(config.backend, device_type(config))
    with as_config_errors():
        data = build_data(config)
        network = build_model(config, data)
        objective = build_objective(config, network)
    if config.precision == "64-true":
        network.double()
    load_weights(run.weights, network)
    return config, data, network.eval(), objective


def evaluate_run(path: Path, split: str = "test", **changes: Any) -> Evaluation:
    """Loss and accuracy at every timestep of a finished run's network on one of its splits.

    `changes` replace settings of the run: num_steps, to run at another T than it was trained
    at, batch_size, backend, device or precision. NonFiniteLoss where the loss isn't finite.
    """
    config, data, network, objective = load_run(path, **changes)
    fabric = build_fabric(config)
    totals = evaluate(
        fabric.setup_module(network),
        objective,
        data.split(split),
        batch_size=config.batch_size,
        device=fabric.device,
    )
    result = totals.evaluation()
    if not math.isfinite(result.loss):
        raise NonFiniteLoss(
            f"the loss of the run in {path} on the {split} split is {result.loss}: its network "
            "overflows there; evaluate it with --precision 32-true, or train again with a lower "
            "optimizer.lr"
        )
    return result


def _digest(config: RunConfig) -> str:
    """What stands for a configuration in checkpoints and summaries.

    Settings at their default are left out, so that a later version with more settings reads
    what this one trained; and those without a meaning, so that the run may go on with others.
    """
    return hashlib.sha256(json.dumps(_chosen(config), sort_keys=True).encode()).hexdigest()


def _chosen(config: RunConfig) -> dict[str, Any]:
    """Settings with a meaning that differ from their default, by dotted name."""
    default = dict(_flat(config_to_dict(RunConfig())))
    flat = _flat(config_to_dict(config))
    return {k: v for k, v in flat if v != default[k] and k not in _NO_MEANING}


def _write_card(
    run: RunDirectory,
    config: RunConfig,
    data: DataSet,
    network: nn.Module,
    summary: dict[str, Any],
) -> None:
    """The model card, without paths on this machine, which are nobody else's business."""
    environment = run.read_json(run.environment)
    chosen = _chosen(config)
    chosen |= {k: v for k, v in _flat(config_to_dict(config)) if k in _ON_CARD}
    for path in ("data.path", "model.weights"):
        chosen.pop(path, None)
    facts = CardFacts(
        name=run.path.resolve().name,
        network=config.model.name,
        objective=config.objective.name,
        dataset=data.name,
        kind=data.reading.kind if data.reading is not None else None,
        licence=SOURCES[config.data.name].licence,
        classes=data.classes,
        parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        samples=len(data.test),
        settings=dict(sorted(chosen.items())),
        summary=summary,
        versions={
            "tempreg": environment["packages"]["tempreg"],
            "torch": environment["torch"],
        },
    )
    write_model_card(run.card, facts)


def finished_summary(run: RunDirectory) -> dict[str, Any]:
    """The summary of a finished run; RunDirectoryError where it isn't that of its config.yaml."""
    summary = run.read_json(run.summary)
    if summary.get("settings") != _digest(read_config(run.config)):
        raise RunDirectoryError(
            f"the result in {run.path} was trained with other settings than its config.yaml has: "
            "put these back, or train again with another --out"
        )
    return summary


def _flat(data: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in data.items():
        name = f"{prefix}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return pairs
