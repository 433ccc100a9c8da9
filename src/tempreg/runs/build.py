"""From a configuration to objects: the only place that knows both."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tempreg.config import ConfigError, RunConfig
from tempreg.data import Augmentation, DataSet, load_dataset
from tempreg.data.augment import RandAugmentation
from tempreg.data.splits.drawn import usable
from tempreg.data.splits.resample import cross_validation, fewer
from tempreg.errors import RequestError, to_install
from tempreg.models import (
    MODELS,
    SpikingNetwork,
    WeightsReport,
    create_model,
    load_weights,
    option_names,
)
from tempreg.models.recompute import choose_recompute
from tempreg.objectives import Making, Objective, named_objective
from tempreg.options import (
    DataOptions,
    NetworkOptions,
    OwnNetworkOptions,
    SourceOptions,
    parse_objective,
)
from tempreg.options.field import part_of
from tempreg.options.own import is_own
from tempreg.options.sizes import SizeOptions
from tempreg.runs.own.code import made, named_object
from tempreg.runs.own.data import own_data
from tempreg.runs.own.network import own_network
from tempreg.runs.own.trust import NOTHING, Trust
from tempreg.training.schedule import WarmupCosine
from tempreg.training.streams import stream_seed

Optimizer = torch.optim.Optimizer
_SOME_TAKE = ("channels", "dropout", *(item.name for item in fields(SizeOptions)))
"""Settings that not every network has, and that none is given where they are the default."""


def build_data(config: RunConfig, trust: Trust = NOTHING) -> DataSet:
    """The data set, resampled where that is asked for; of code, only what `trust` lets run."""
    settings = config.data
    options = build_options(config)
    if is_own(settings.name):
        data = own_data(settings.name, settings.own, options, trust)
    elif settings.own is not None:
        raise ConfigError(
            f"data.own is for data sets of your own, as my_data:Source, and {settings.name} is none"
        )
    else:
        data = load_dataset(settings.name, **vars(options))
    return arranged(config, data)


def arranged(config: RunConfig, data: DataSet) -> DataSet:
    """A data set, resampled where the settings ask for that."""
    settings = config.data
    if data.numbers:
        _check_of_numbers(config, data)
    if settings.folds:
        data = cross_validation(
            data,
            folds=settings.folds,
            fold=settings.fold,
            validation=settings.validation,
            seed=settings.split_seed,
            reserve=settings.reserve,
            within_reserve=settings.within_reserve,
        )
    if settings.train_size is not None:
        data = fewer(data, settings.train_size, settings.split_seed)
    if config.keep == "best-on-test" and len(data.validation):
        raise ConfigError(
            f"keep best-on-test is for data that holds no validation part out, and {data.name} has "
            "one: keep best, which chooses on it"
        )
    if settings.unequal and len(data.train) and data.train.inputs(torch.tensor([0])).ndim != 5:
        raise ConfigError(
            f"data.unequal is for recordings, and {data.name} holds images, which are shown at "
            "every timestep: leave it out"
        )
    return usable(data, validation=settings.validation > 0)


def _check_of_numbers(config: RunConfig, data: DataSet) -> None:
    """ConfigError for settings that are of classes, where the targets are numbers."""
    given = {
        "balance": config.balance,
        "augment.mixup": config.augment.mixup,
        "augment.cutmix": config.augment.cutmix,
        "fisher_every": config.fisher_every,
        "keep best-on-test": config.keep == "best-on-test",
    }
    if found := [name for name, value in given.items() if value]:
        raise ConfigError(
            f"{found[0]} is of classes, and the targets of {data.name} are numbers: leave it out"
        )


def build_options(config: RunConfig) -> DataOptions:
    """How the data is read."""
    return DataOptions(
        num_steps=config.num_steps,
        whole_images=config.augment.crop,
        **part_of(config.data, SourceOptions),
    )


def build_augmentation(config: RunConfig, data: DataSet) -> Augmentation:
    """Of training batches; ConfigError where it is for events or images and the data is not."""
    rand = build_rand_augmentation(config, data) if config.augment.rand else None
    augmentation = Augmentation(**vars(config.augment), rand_augment=rand)
    if augmentation.needs_events and data.train.inputs(torch.tensor([0])).ndim != 5:
        raise ConfigError(
            f"augment.drop and augment.jitter are for events, and {data.name} holds images: leave "
            "them out"
        )
    if augmentation.crop and not data.train.croppable:
        raise ConfigError(
            f"augment.crop is for images, and {data.name} holds none that it can cut: leave it out"
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
        raise ConfigError(f"augment.rand needs {error.name}: {to_install('augment')}") from None


def build_model(config: RunConfig, data: DataSet, trust: Trust = NOTHING) -> nn.Module:
    """The network, with weights drawn from the run's seed; of code, only what `trust` lets run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(config.seed, "weights"))
        if is_own(config.model.name):
            return own_network(config, data, trust)
        network = _network_by_name(config, data)
        network.padded = config.data.unequal
        return network


def _network_by_name(config: RunConfig, data: DataSet) -> SpikingNetwork:
    model = config.model
    if config.data.unequal and model.neuron == "psn":
        raise ConfigError(
            "neuron psn would let what is padded move the timesteps before it: take masked_psn or "
            "sliding_psn, or data.unequal false"
        )
    for name in ("own", "wrap", "wrap_options"):
        if getattr(model, name) != getattr(OwnNetworkOptions(), name):
            raise ConfigError(
                f"model.{name} is for networks of your own, as my_net:Net, and {model.name} is none"
            )
    options = part_of(model, NetworkOptions)
    for name in _SOME_TAKE:
        if options[name] == getattr(NetworkOptions, name):
            del options[name]
        elif model.name in MODELS and name not in option_names(model.name):
            users = ", ".join(n for n in MODELS if name in option_names(n))
            nothing = json.dumps(getattr(NetworkOptions, name))
            raise ConfigError(
                f"model.{name} is a setting of {users}: set it to {nothing} for {model.name}"
            )
    return create_model(
        model.name,
        num_classes=len(data.classes),
        in_channels=data.in_channels,
        num_steps=config.num_steps,
        input_size=data.input_size,
        backend=config.backend,
        conv=config.conv,
        **options,
    )


def check_batches(config: RunConfig, data: DataSet, network: nn.Module) -> None:
    """TooFewValues where batch norm can't take statistics of the smallest batch of a process."""
    smallest = len(data.train) % config.batch_size or config.batch_size
    over_time = config.num_steps > 1 and config.model.norm != "tab"
    if over_time or smallest > config.devices * config.num_nodes:
        return
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        x = torch.zeros(1, data.in_channels, *data.input_size)
        copy.deepcopy(network).train()(x)


def choose_passes(config: RunConfig, network: nn.Module) -> None:
    """Let the network's layers be computed again, where that is asked for.

    ConfigError for a network of the user's, of which nobody knows where its layers are, or how its
    timesteps meet.
    """
    asked = {"recompute": config.recompute != "nothing", "truncate": config.truncate > 0}
    if not any(asked.values()):
        return
    name = next(name for name, there in asked.items() if there)
    if type(network) not in MODELS.values():
        raise ConfigError(
            f"{name} is for networks by name, and {type(network).__name__} is one of your own: "
            "leave it out"
        )
    choose_recompute(network, config.recompute == "layers")


def load_first_weights(config: RunConfig, model: nn.Module) -> WeightsReport | None:
    """The weights that training starts from, where a file of them is named.

    ConfigError where the objective's penalty is matched to the fresh weights: a finished run,
    which is read back without that file, could not tell its strength any more.
    """
    if config.model.weights is None:
        return None
    if "l2" in parse_objective(config.objective.name).additions:
        raise ConfigError(
            "model.weights can't go with l2, whose strength is matched to the seed's fresh "
            "weights: leave one of them out"
        )
    return load_weights(model, Path(config.model.weights).expanduser())


def build_objective(
    config: RunConfig, model: nn.Module, trust: Trust = NOTHING, numbers: int = 0
) -> Objective:
    """The loss; `model` must have the weights that it was built with, for "l2" is matched to them.

    Of code, only what `trust` lets run; `numbers`: as of the data set.
    ConfigError where a class of the user's can't be had.
    """
    options = config.objective
    name = parse_objective(options.name)
    if is_own(name.base):
        return _own_objective(options.name, options.own, trust)
    if options.own is not None:
        raise ConfigError(
            f"objective.own is for objectives of your own, as my_loss:Loss, and {options.name} is "
            "none"
        )
    return named_objective(name, Making(options, model, config.num_steps, numbers=numbers > 0))


def weigh_classes(config: RunConfig, objective: Objective, data: DataSet) -> None:
    """Give the objective the class weights that the settings ask for, of the training part.

    Of frequencies n_c they are N / (C n_c), whose mean over the N samples is 1; C is the number of
    classes that have any.

    Raises:
        ConfigError: not a weight for each class, or an objective of the user's.
    """
    options = config.objective
    if not options.weigh_classes and options.class_weights is None:
        return
    if data.numbers:
        raise ConfigError(
            f"objective.weigh_classes and class_weights are of classes, and the targets of "
            f"{data.name} are numbers: leave them out"
        )
    if is_own(options.name):
        raise ConfigError(
            f"objective.weigh_classes and class_weights are for objectives by name, and "
            f"{options.name} is one of your own: call its weigh_classes in it"
        )
    if options.class_weights is not None:
        weights = torch.tensor(options.class_weights, dtype=torch.float64)
        if len(weights) != len(data.classes):
            raise ConfigError(
                f"objective.class_weights has {len(weights)} weights, and {data.name} has "
                f"{len(data.classes)} classes: give one for each, in the order of data.json"
            )
    else:
        counts = torch.bincount(data.train.targets, minlength=len(data.classes)).double()
        weights = counts.sum() / (counts.count_nonzero() * counts)
        weights[counts == 0] = 1.0
    objective.weigh_classes(weights)


def _own_objective(name: str, own: dict[str, Any] | None, trust: Trust) -> Objective:
    """An objective of the user's, from "module:Class", made with the arguments `own`."""
    found = named_object("objective.name", name, trust)
    if not (isinstance(found, type) and issubclass(found, Objective)):
        raise ConfigError(f"objective.name {name}: it must be a subclass of tempreg.Objective")
    objective: Objective = made("objective.name", name, found, {}, own)
    return objective


def build_optimizer(config: RunConfig, model: nn.Module, device: str = "cpu") -> Optimizer:
    """The optimizer over all parameters, which will lie on a device of this type.

    On a GPU all of a step is one launch or a few, and a step can be left out there without a word.
    Not where float16 is scaled and its gradient clipped, for which Fabric must unscale it first;
    nor of SGD there, whose first momentum would never be written where the first steps overflow.
    """
    settings, parameters = config.optimizer, model.parameters()
    in_half = config.precision == "16-mixed"
    apart = in_half and (settings.clip_norm is not None or settings.name == "sgd")
    ways: dict[str, Any] = {"fused": True} if device != "cpu" and not apart else {}
    common = {"lr": settings.lr, "weight_decay": settings.weight_decay, **ways}
    builders: dict[str, Callable[[], Optimizer]] = {
        "adam": lambda: torch.optim.Adam(parameters, **common),
        "adamw": lambda: torch.optim.AdamW(parameters, **common),
        "sgd": lambda: torch.optim.SGD(parameters, momentum=settings.momentum, **common),
    }
    return builders[settings.name]()


def build_schedule(config: RunConfig, samples: int) -> WarmupCosine:
    """The learning rate over `epochs` passes of `samples`."""
    per_epoch = -(-samples // config.batch_size)
    warmup = round(config.optimizer.warmup_epochs * per_epoch)
    hold = per_epoch if config.optimizer.cosine == "epoch" else 1
    return WarmupCosine(config.optimizer.lr, config.epochs * per_epoch, warmup, hold)


@contextmanager
def as_config_errors() -> Iterator[None]:
    """Objects refuse bad arguments with ValueError: here these came from a configuration."""
    try:
        yield
    except RequestError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error
