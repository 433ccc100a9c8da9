"""Runs read back: with their data, or, for single files, without."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn

from tempreg.config import ConfigError, RunConfig, config_from_dict, config_to_dict, read_config
from tempreg.data import DataSet
from tempreg.data.single import described
from tempreg.models.convolution import check_conv
from tempreg.objectives import Objective
from tempreg.ops.dispatch import resolve_backend
from tempreg.options.own import is_own
from tempreg.runs.build import (
    as_config_errors,
    build_data,
    build_model,
    build_objective,
    weigh_classes,
)
from tempreg.runs.hub import is_hub, read_hub
from tempreg.runs.launch import build_fabric, device_type, on_one_device
from tempreg.runs.own.network import wrap
from tempreg.runs.own.record import records, warn_of_changed_code
from tempreg.runs.own.trust import Trust, as_trust, code_in
from tempreg.runs.precision import of_run
from tempreg.training.arithmetic import arithmetic
from tempreg.training.checkpoint import restore_weights
from tempreg.training.evaluate import evaluate
from tempreg.training.finite import NonFiniteLoss
from tempreg.training.run_directory import RunDirectory, RunDirectoryError
from tempreg.training.scored import Scored


def load_run(
    path: Path, *, trust_code: bool | Trust = False, **changes: Any
) -> tuple[RunConfig, DataSet, nn.Module, Objective]:
    """A finished run, read back: its configuration, data, trained network and objective.

    The objective is what it was in the last epoch.

    `changes` replace settings of the configuration, by their names at its top level. Of the
    others, device, precision (64-true aside), backend and conv need not be had here: see
    `launch.on_one_device`.

    Code that the run names, "my_net:Net", is imported only with `trust_code`, for a folder may come
    from anybody; CodeNotTrusted says what it would be.
    """
    run = RunDirectory(path)
    run.check_run(finished=True)
    settings = config_to_dict(read_config(run.config)) | changes
    config = of_run(on_one_device(config_from_dict(settings, "settings"), changes), run)
    trust = as_trust(trust_code)
    trust.check_all(config)
    resolve_backend(config.backend, device_type(config))
    check_conv(config.conv, device_type(config))
    with as_config_errors():
        data = build_data(config, trust)
        network = _built(config, read_config(run.config).num_steps, data, trust)
        objective = build_objective(config, network, trust, data.numbers)
        weigh_classes(config, objective, data)
    warn_of_changed_code(run, records(code_in(config), trust))
    done = int(run.read_json(run.summary).get("epochs", config.epochs))  # it may stop early
    objective.begin_epoch(done - 1, config.epochs)
    return config, data, _trained(run, config, network), objective


def _built(config: RunConfig, trained: int, data: DataSet, trust: Trust) -> nn.Module:
    """The network as it was trained, to be run for the settings' T."""
    if is_own(config.model.name):
        return build_model(config, data, trust)
    network = build_model(replace(config, num_steps=trained), data, trust)
    network.num_steps = config.num_steps  # type: ignore[assignment]
    return network


def stored_network(
    path: Path, *, trust_code: bool | Trust = False, model: nn.Module | None = None
) -> tuple[RunConfig, DataSet, nn.Module]:
    """A finished run's settings, data set without its samples, and trained network on the CPU.

    Args:
        path: the run's folder, or one that `tempreg export --format hub` wrote.
        trust_code: whether code that it names may run, see `load_run`.
        model: a network of the user's, in place of what `model.name` stands for.

    Raises:
        RunDirectoryError, CheckpointError: the run can't be used.
        ConfigError: its settings don't fit this machine.
    """
    run, published = RunDirectory(path), is_hub(path)
    trust = as_trust(trust_code)
    config, data = read_hub(path) if published else _settings_and_data(run, trust, model)
    config = on_one_device(config)
    if model is None:
        trust.check("model.name", config.model.name)
    resolve_backend(config.backend, device_type(config))
    check_conv(config.conv, device_type(config))
    with as_config_errors():
        network = build_model(config, data, trust) if model is None else wrap(model, config, data)
    if model is None and not published:
        named = {k: v for k, v in code_in(config).items() if k == "model.name"}
        warn_of_changed_code(run, records(named, trust))
    return config, data, _trained(run, config, network)


def _settings_and_data(
    run: RunDirectory, trust: Trust, model: nn.Module | None
) -> tuple[RunConfig, DataSet]:
    run.check_run(finished=True)
    config = read_config(run.config)
    if model is None:
        trust.check("model.name", config.model.name)
    if not run.data.is_file():
        raise RunDirectoryError(
            f"the run in {run.path} has no data.json, which says how its data is read: it is from "
            "an earlier version; train it again"
        )
    try:
        return config, described(run.read_json(run.data))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        if isinstance(error, RunDirectoryError):
            raise
        raise RunDirectoryError(f"{run.data} is damaged ({error}): restore it") from None


def load(
    run: str | PathLike[str], *, trust_code: bool = False, model: nn.Module | None = None
) -> nn.Module:
    """The trained network of a finished run, in eval mode on the CPU; the run's data isn't needed.

    Args:
        run: the run's folder, as "runs/trt", or one that `tempreg export --format hub` wrote.
        trust_code: whether code that the run names, as "my_net:Net", may be imported: a folder may
            come from anybody.
        model: the network to put the weights into, of one that was given to `train` as an object.

    Returns:
        A module: frames [T, B, C, H, W], or images [B, C, H, W], -> logits [T, B, classes]. A
        network of the user's is its attribute `model`.

    Raises:
        RunDirectoryError, CheckpointError: the run can't be used.
        CodeNotTrusted, ConfigError: its network can't be made.
    """
    return stored_network(Path(run), trust_code=trust_code, model=model)[2]


def _trained(run: RunDirectory, config: RunConfig, network: nn.Module) -> nn.Module:
    """The network with the weights of the run, in eval mode."""
    if config.precision == "64-true":
        network.double()
    restore_weights(network, run.weights)
    return network.eval()


def evaluate_run(
    path: Path, split: str = "test", *, trust_code: bool | Trust = False, **changes: Any
) -> Scored:
    """Loss and accuracy, or errors and R^2, at every timestep, of a finished run on a split.

    `changes` replace settings of the run: num_steps, to run at another T than it was trained
    at, batch_size, backend, conv, device or precision. A warning says where float16, which the run
    was trained with, can't be had here. `trust_code`: see `load_run`. NonFiniteLoss where the loss
    isn't finite.
    """
    config, data, network, objective = load_run(path, trust_code=trust_code, **changes)
    run = RunDirectory(path)
    trained = of_run(read_config(run.config), run).precision
    if "precision" not in changes and trained != config.precision:
        warnings.warn(
            f"the run in {path} was trained with precision {trained}, which needs a CUDA device: "
            f"it is evaluated with {config.precision}",
            stacklevel=2,
        )
    if config.eval_precision != "same" and "precision" not in changes:
        config = replace(config, precision=config.eval_precision)
    if not len(data.split(split)):
        raise ConfigError(f"the run in {path} holds no {split} data out: choose another split")
    fabric = build_fabric(config)
    how = {"tf32": config.tf32, "deterministic": config.deterministic}
    with arithmetic(fabric.device.type, **how):
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


def cautions_of(path: Path) -> list[str]:
    """What limits what the accuracies of a finished run say, a sentence each."""
    run = RunDirectory(path)
    said = run.read_json(run.summary).get("cautions") if run.summary.is_file() else None
    return [str(sentence) for sentence in said or ()]


def chosen_on_test(path: Path) -> bool:
    """Whether the kept epoch of a run was chosen on its test split."""
    return read_config(RunDirectory(path).config).keep == "best-on-test"
