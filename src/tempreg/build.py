"""From a configuration to objects: the only place that knows both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tempreg.config import ConfigError, RunConfig
from tempreg.data import DataSet, load_dataset
from tempreg.errors import RequestError
from tempreg.models import MODELS, SpikingNetwork, create_model
from tempreg.objectives import Objective, RateLoss, TETLoss, TRTLoss
from tempreg.training.schedule import WarmupCosine
from tempreg.training.streams import stream_seed

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Optimizer = torch.optim.Optimizer


def build_data(config: RunConfig) -> DataSet:
    """The data set, in memory."""
    options = asdict(config.data)
    name, path = options.pop("name"), options.pop("path")
    place = None if path is None else Path(path).expanduser()
    return load_dataset(name, num_steps=config.num_steps, path=place, **options)


def build_model(config: RunConfig, data: DataSet) -> SpikingNetwork:
    """The network, with weights drawn from the run's seed."""
    model = config.model
    options: dict[str, Any] = {}
    if model.channels is not None and model.name in MODELS and model.name != "csnn":
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
    most = torch.cuda.device_count() if chosen == "cuda" else os.cpu_count() or 1
    if config.devices > most:
        raise ConfigError(
            f"devices={config.devices} was asked for, but there are {most} here ({chosen})"
        )
    return chosen


def build_fabric(config: RunConfig) -> Fabric:
    """Lightning Fabric for the run's device, processes and precision, not yet launched."""
    from lightning_fabric import Fabric  # loads dynamo, which takes seconds

    return Fabric(
        accelerator=device_type(config),
        devices=config.devices,
        precision=config.precision,
        strategy="ddp" if config.devices > 1 else "auto",
    )


@contextmanager
def as_config_errors() -> Iterator[None]:
    """Objects refuse bad arguments with ValueError: here these came from a configuration."""
    try:
        yield
    except RequestError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error
