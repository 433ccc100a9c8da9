"""What a finished run says of single files; its training data isn't needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tempreg.build import as_config_errors, build_model, build_options
from tempreg.config import RunConfig, read_config
from tempreg.data import DataSet
from tempreg.data.single import described
from tempreg.data.source import DataError
from tempreg.launch import device_type, on_one_device
from tempreg.models import SpikingNetwork
from tempreg.ops.dispatch import resolve_backend
from tempreg.training.checkpoint import load_weights
from tempreg.training.run_directory import RunDirectory, RunDirectoryError


@dataclass(frozen=True)
class Prediction:
    """The most likely class of one file after each timestep. Final.

    Attributes:
        classes: their names, [T].
        confidences: the softmax of the mean logits so far at that class, [T], in (0, 1].
    """

    classes: list[str]
    confidences: list[float]


def stored_network(path: Path) -> tuple[RunConfig, DataSet, SpikingNetwork]:
    """A finished run's settings, data set without its samples, and trained network on the CPU.

    Raises:
        RunDirectoryError, CheckpointError: the run can't be used.
        ConfigError: its settings don't fit this machine.
    """
    run = RunDirectory(path)
    run.check_run(finished=True)
    config = on_one_device(read_config(run.config))
    if not run.data.is_file():
        raise RunDirectoryError(
            f"the run in {path} has no data.json, which says how its data is read: it is from an "
            "earlier version; train it again"
        )
    try:
        data = described(run.read_json(run.data))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        if isinstance(error, RunDirectoryError):
            raise
        raise RunDirectoryError(f"{run.data} is damaged ({error}): restore it") from None
    resolve_backend(config.backend, device_type(config))
    with as_config_errors():
        network = build_model(config, data)
    if config.precision == "64-true":
        network.double()
    load_weights(run.weights, network)
    return config, data, network.eval()


def predictor(path: Path) -> Callable[[Path], Prediction]:
    """A function from a file to what the run in the folder `path` says of it.

    The function raises DataError where a file can't be read as the run's data was, or makes the
    network overflow; this raises
    RunDirectoryError or CheckpointError where the run can't be used.
    """
    config, data, network = stored_network(path)
    if data.reading is None:
        raise RunDirectoryError(
            f"the data set {data.name} of the run in {path} has no way to read single files"
        )
    reading, options = data.reading, build_options(config)
    device = device_type(config)
    network.to(device)
    dtype = next(network.parameters()).dtype

    @torch.no_grad()
    def predict(file: Path) -> Prediction:
        logits = network(reading.read(file, options).to(device, dtype))[:, 0]
        steps = torch.arange(1, len(logits) + 1, device=logits.device)[:, None]
        if not torch.isfinite(logits).all():
            raise DataError(
                f"{file}: the network of the run in {path} answers with numbers that are not finite"
            )
        confidence, index = (logits.cumsum(0) / steps).softmax(dim=-1).max(dim=-1)
        return Prediction([data.classes[i] for i in index.tolist()], confidence.tolist())

    return predict
