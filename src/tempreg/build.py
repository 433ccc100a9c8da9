"""From a configuration to objects, and through a whole run: the only place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tempreg.config import (
    ConfigError,
    RunConfig,
    config_from_dict,
    config_text,
    config_to_dict,
    read_config,
)
from tempreg.data import Augmentation, DataSet, load_dataset
from tempreg.errors import RequestError
from tempreg.models import SpikingNetwork, create_model
from tempreg.objectives import Objective, RateLoss, TETLoss, TRTLoss
from tempreg.ops.dispatch import resolve_backend
from tempreg.training.checkpoint import load_weights
from tempreg.training.environment import environment
from tempreg.training.evaluate import Evaluation, evaluate
from tempreg.training.progress import Reporter, Silent
from tempreg.training.run_directory import RunDirectory, RunDirectoryError
from tempreg.training.schedule import WarmupCosine
from tempreg.training.streams import stream_seed

Optimizer = torch.optim.Optimizer


def build_data(config: RunConfig) -> DataSet:
    """The data set, in memory."""
    data = config.data
    return load_dataset(data.name, num_steps=config.num_steps, frames=data.frames, size=data.size)


def build_model(config: RunConfig, data: DataSet) -> SpikingNetwork:
    """The network, with weights drawn from the run's seed."""
    model = config.model
    options: dict[str, Any] = {}
    if model.channels is not None and model.name != "csnn":
        raise ConfigError(f"model.channels is a setting of csnn: set it to null for {model.name}")
    if model.channels is not None:
        options["channels"] = model.channels
    if model.dropout > 0:
        options["dropout"] = model.dropout
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(config.seed, "weights"))
        return create_model(
            model.name,
            num_classes=len(data.classes),
            in_channels=data.in_channels,
            num_steps=config.num_steps,
            input_size=data.input_size,
            tau=model.tau,
            v_threshold=model.v_threshold,
            v_reset=model.v_reset,
            surrogate=model.surrogate,
            surrogate_param=model.surrogate_param,
            neuron=model.neuron,
            norm=model.norm,
            detach_reset=model.detach_reset,
            backend=config.backend,
            **options,
        )


def build_objective(config: RunConfig, model: nn.Module) -> Objective:
    """The loss."""
    settings = config.objective
    builders: dict[str, Callable[[], Objective]] = {
        "rate": RateLoss,
        "tet": lambda: TETLoss(lam=settings.tet_lam, means=settings.tet_means),
        "trt": lambda: TRTLoss(
            model,
            lam=settings.lam,
            decay=settings.decay,
            eps=settings.eps,
            eta=settings.eta,
            select=settings.select,
        ),
    }
    return builders[settings.name]()


def build_optimizer(config: RunConfig, model: nn.Module) -> Optimizer:
    """The optimizer over all parameters."""
    settings, parameters = config.optimizer, model.parameters()
    lr, decay = settings.lr, settings.weight_decay
    builders: dict[str, Callable[[], Optimizer]] = {
        "adam": lambda: torch.optim.Adam(parameters, lr=lr, weight_decay=decay),
        "adamw": lambda: torch.optim.AdamW(parameters, lr=lr, weight_decay=decay),
        "sgd": lambda: torch.optim.SGD(
            parameters, lr=lr, momentum=settings.momentum, weight_decay=decay
        ),
    }
    return builders[settings.name]()


def build_schedule(config: RunConfig, samples: int) -> WarmupCosine:
    """The learning rate over `epochs` passes of `samples`."""
    per_epoch = -(-samples // config.batch_size)
    warmup = round(config.optimizer.warmup_epochs * per_epoch)
    return WarmupCosine(config.optimizer.lr, config.epochs * per_epoch, warmup)


def device_type(config: RunConfig) -> str:
    """ "cpu" or "cuda"; ConfigError where what was asked for isn't here."""
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise ConfigError("device cuda was asked for, but torch finds no CUDA device here")
    chosen = "cuda" if available and config.device != "cpu" else "cpu"
    if config.precision == "16-mixed" and chosen == "cpu":
        raise ConfigError(
            "precision 16-mixed needs a CUDA device: on a CPU choose 32-true or bf16-mixed"
        )
    if chosen == "cuda" and config.devices > torch.cuda.device_count():
        raise ConfigError(
            f"devices={config.devices} was asked for, but there are {torch.cuda.device_count()}"
        )
    return chosen


def train(
    config: RunConfig, out: Path, *, resume: bool = False, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Train a network by `config` into the folder `out`; returns the summary.

    Args:
        config: all settings.
        out: a new or empty folder; with `resume`, possibly one with a run of equal settings,
            which is continued, or only read where it is finished.
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
            return run.read_json(run.summary)
    else:
        run.check_new()
    device = device_type(config)
    backend = resolve_backend(config.backend, device)
    with _as_config_errors():
        data = build_data(config)
        network = build_model(config, data)
        objective = build_objective(config, network)
    optimizer = build_optimizer(config, network)

    from lightning_fabric import Fabric  # loads dynamo, which takes seconds

    from tempreg.training.loop import Trainer

    fabric = Fabric(
        accelerator=device,
        devices=config.devices,
        precision=config.precision,
        strategy="ddp" if config.devices > 1 else "auto",
    )
    fabric.launch()
    trainer = Trainer(
        fabric=fabric,
        network=network,
        objective=objective,
        optimizer=optimizer,
        schedule=build_schedule(config, len(data.train)),
        data=data,
        run=run,
        reporter=reporter or Silent(),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        augmentation=Augmentation(config.augment.shift, config.augment.flip, config.augment.cutout),
        clip_norm=config.optimizer.clip_norm,
        keep=config.keep,
    )
    if not fabric.is_global_zero:
        fabric.barrier()
        return trainer.fit()
    with run.locked():
        if not continuing:
            run.check_new()
            run.create(config_text(config), environment(backend, fabric.device))
        fabric.barrier()
        return trainer.fit()


def check_same_run(run: RunDirectory, config: RunConfig) -> None:
    """RunDirectoryError where the run in the folder has other settings, naming the first."""
    before = dict(_flat(config_to_dict(read_config(run.config))))
    for name, value in _flat(config_to_dict(config)):
        if before[name] != value:
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
    with _as_config_errors():
        data = build_data(config)
        network = build_model(config, data)
        objective = build_objective(config, network)
    load_weights(run.weights, network)
    return config, data, network.eval(), objective


def evaluate_run(path: Path, split: str = "test", **changes: Any) -> Evaluation:
    """Loss and accuracy at every timestep of a finished run's network on one of its splits.

    `changes` replace settings of the run: num_steps, to run at another T than it was trained
    at, batch_size, backend or device.
    """
    config, data, network, objective = load_run(path, **changes)
    device = device_type(config)
    network.to(device)
    totals = evaluate(
        network, objective, data.split(split), batch_size=config.batch_size, device=device
    )
    return totals.evaluation()


@contextmanager
def _as_config_errors() -> Iterator[None]:
    """Objects refuse bad arguments with ValueError: here these came from a configuration."""
    try:
        yield
    except RequestError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _flat(data: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in data.items():
        name = f"{prefix}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return pairs
