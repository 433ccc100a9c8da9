"""From a configuration to objects: the only place that knows both."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tempreg.config import ConfigError, RunConfig
from tempreg.config.objective_names import parse_objective
from tempreg.data import Augmentation, DataOptions, DataSet, load_dataset
from tempreg.data.augment import RandAugmentation
from tempreg.data.resample import cross_validation, fewer
from tempreg.data.splits import usable
from tempreg.errors import RequestError
from tempreg.models import MODELS, SpikingNetwork, WeightsReport, create_model, load_weights
from tempreg.objectives import (
    AnytimeLoss,
    Objective,
    RateLoss,
    Regularised,
    StepLoss,
    TETLoss,
    matched_l2,
    selected_parameters,
)
from tempreg.training.schedule import WarmupCosine
from tempreg.training.streams import stream_seed

Optimizer = torch.optim.Optimizer


def build_data(config: RunConfig) -> DataSet:
    """The data set, resampled where that is asked for."""
    settings = config.data
    options = build_options(config)
    given = {item.name: getattr(options, item.name) for item in fields(options)}
    data = load_dataset(settings.name, **given)
    if settings.folds:
        data = cross_validation(
            data,
            folds=settings.folds,
            fold=settings.fold,
            validation=settings.validation,
            seed=settings.split_seed,
        )
    if settings.train_size is not None:
        data = fewer(data, settings.train_size, settings.split_seed)
    return usable(data)


def build_options(config: RunConfig) -> DataOptions:
    """How the data is read."""
    settings = config.data
    options = {
        item.name: getattr(settings, item.name)
        for item in fields(DataOptions)
        if item.name not in ("num_steps", "path")
    }
    path = None if settings.path is None else Path(settings.path).expanduser()
    return DataOptions(num_steps=config.num_steps, path=path, **options)


def build_augmentation(config: RunConfig, data: DataSet) -> Augmentation:
    """Of training batches; ConfigError where it is for events or images and the data is not."""
    rand = build_rand_augmentation(config, data) if config.augment.rand else None
    augmentation = Augmentation(**{**asdict(config.augment), "rand": rand})
    if augmentation.needs_events and data.train.inputs(torch.tensor([0])).ndim != 5:
        raise ConfigError(
            f"augment.drop and augment.jitter are for events, and {data.name} holds images: leave "
            "them out"
        )
    return augmentation


def build_rand_augmentation(config: RunConfig, data: DataSet) -> RandAugmentation:
    """RandAugment; ConfigError without kornia, or where the data set has no pixel values."""
    reading = data.reading
    if reading is None or reading.kind != "images":
        raise ConfigError(
            f"augment.rand is for images, and {data.name} holds none that it can change: leave it "
            "out"
        )
    try:
        return RandAugmentation(config.augment.rand, scale=reading.scale, offset=reading.offset)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"augment.rand needs {error.name}: pip install 'tempreg[augment]'"
        ) from None


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


def check_batches(config: RunConfig, data: DataSet, network: nn.Module) -> None:
    """TooFewValues where batch norm can't take statistics of the smallest batch of a process."""
    smallest = len(data.train) % config.batch_size or config.batch_size
    if config.num_steps > 1 or smallest > config.devices * config.num_nodes:
        return
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        x = torch.zeros(1, data.in_channels, *data.input_size)
        copy.deepcopy(network).train()(x)


def load_first_weights(config: RunConfig, model: SpikingNetwork) -> WeightsReport | None:
    """The weights that training starts from, where a file of them is named.

    ConfigError where the objective's penalty is matched to the fresh weights: a finished run,
    which is read back without that file, could not tell its strength any more.
    """
    if config.model.weights is None:
        return None
    if "l2" in parse_objective(config.objective.name)[1]:
        raise ConfigError(
            "model.weights can't go with l2, whose strength is matched to the seed's fresh "
            "weights: leave one of them out"
        )
    return load_weights(model, Path(config.model.weights).expanduser())


def build_objective(config: RunConfig, model: nn.Module) -> Objective:
    """The loss; `model` must have the weights that it was built with, for "l2" is matched to them.

    ConfigError where a class of the user's can't be had.
    """
    settings = config.objective
    base, additions = parse_objective(settings.name)
    if ":" in base:
        return _own_objective(base)
    bases: dict[str, Callable[[], Objective]] = {
        "rate": RateLoss,
        "step": StepLoss,
        "smooth": lambda: StepLoss(smoothing=settings.smoothing),
        "tet": lambda: TETLoss(lam=settings.tet_lam, means=settings.tet_means),
        "anytime": lambda: AnytimeLoss(distill=settings.distill if "kd" in additions else 0.0),
    }
    objective = bases[base]()
    if not additions & {"mse", "trt", "l2"}:
        return objective
    lam, decay = settings.lam, settings.decay
    if "l2" in additions:
        weights = selected_parameters(model, settings.select).values()
        lam = matched_l2(
            weights, num_steps=config.num_steps, lam=lam, decay=decay, eps=settings.eps
        )
        decay = 0.0
    return Regularised(
        objective,
        model,
        lam=lam if additions & {"trt", "l2"} else 0.0,
        decay=decay,
        eps=settings.eps,
        eta=settings.eta if "mse" in additions else 0.0,
        select=settings.select,
    )


def _own_objective(name: str) -> Objective:
    """An objective of the user's, from "module:Class"; it is made without arguments."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"objective.name {name}: {error}; Python must find the module: install it, or put its "
            "folder into PYTHONPATH"
        ) from None
    if not (isinstance(found, type) and issubclass(found, Objective)):
        raise ConfigError(f"objective.name {name}: it must be a subclass of tempreg.Objective")
    return found()


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


@contextmanager
def as_config_errors() -> Iterator[None]:
    """Objects refuse bad arguments with ValueError: here these came from a configuration."""
    try:
        yield
    except RequestError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error
