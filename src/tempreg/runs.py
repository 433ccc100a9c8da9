"""Whole runs: train one into a folder, read one back, evaluate one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tempreg.build import (
    as_config_errors,
    build_augmentation,
    build_data,
    build_fabric,
    build_model,
    build_objective,
    build_optimizer,
    build_schedule,
    device_type,
    load_first_weights,
)
from tempreg.config import RunConfig, config_from_dict, config_text, config_to_dict, read_config
from tempreg.data import DataSet
from tempreg.data.single import describe
from tempreg.models import SpikingNetwork
from tempreg.objectives import Objective
from tempreg.observers import observer_for
from tempreg.ops.dispatch import resolve_backend
from tempreg.training.checkpoint import load_weights
from tempreg.training.environment import environment
from tempreg.training.evaluate import Evaluation, evaluate
from tempreg.training.loop import Trainer
from tempreg.training.progress import Reporter, Silent
from tempreg.training.run_directory import RunDirectory, RunDirectoryError

_NO_MEANING = ("workers",)
"""Settings that change how long a run takes and nothing else: it may go on with other ones."""


def train(
    config: RunConfig, out: Path, *, resume: bool = False, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Train a network by `config` into the folder `out`; returns the summary.

    Args:
        config: all settings.
        out: a new or empty folder; with `resume`, possibly one with a run of equal settings (but
            for `workers`), which is continued, or only read where it is finished.
        resume: whether to continue.
        reporter: told about progress; silent by default.

    Raises:
        ConfigError, ValueError: settings that don't fit each other, the data or the machine.
        RunDirectoryError: `out` can't be used.
        Interrupted, NonFiniteLoss, CheckpointError: see `Trainer.fit`.
    """
    run = RunDirectory(out)
    continuing = resume and run.config.exists()
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
        network = build_model(config, data)
        taken = None if run.checkpoint.exists() else load_first_weights(config, network)
        objective = build_objective(config, network)
    optimizer = build_optimizer(config, network)
    fabric = build_fabric(config)
    fabric.launch()
    trainer = Trainer(
        fabric=fabric,
        network=network,
        objective=objective,
        optimizer=optimizer,
        schedule=build_schedule(config, len(data.train)),
        data=data,
        run=run,
        reporter=reporter if reporter and fabric.is_global_zero else Silent(),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        augmentation=augmentation,
        clip_norm=config.optimizer.clip_norm,
        keep=config.keep,
        settings=_digest(config),
        observer=observer_for(config, data, run),
        workers=config.workers,
    )
    if not fabric.is_global_zero:
        fabric.barrier()
        return trainer.fit()
    for remark in data.remarks:
        trainer.reporter.remark(remark)
    if taken is not None:
        trainer.reporter.remark(
            f"weights of {config.model.weights}: {len(taken.matched)} layers taken, "
            f"{len(taken.ignored)} tensors ignored"
        )
    with run.locked():
        if not continuing:
            run.check_new()
            run.create(config_text(config), environment(backend, fabric.device), describe(data))
        else:
            run.note_environment(environment(backend, fabric.device))
        fabric.barrier()
        return trainer.fit()


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
    config = config_from_dict(settings, "settings")
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
    at, batch_size, backend, device or precision.
    """
    config, data, network, objective = load_run(path, **changes)
    fabric = build_fabric(replace(config, devices=1))
    totals = evaluate(
        fabric.setup_module(network),
        objective,
        data.split(split),
        batch_size=config.batch_size,
        device=fabric.device,
    )
    return totals.evaluation()


def _digest(config: RunConfig) -> str:
    """What stands for a configuration in checkpoints and summaries.

    Settings at their default are left out, so that a later version with more settings reads
    what this one trained; and those without a meaning, so that the run may go on with others.
    """
    default = dict(_flat(config_to_dict(RunConfig())))
    flat = _flat(config_to_dict(config))
    chosen = {k: v for k, v in flat if v != default[k] and k not in _NO_MEANING}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


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
