"""A network from a NIR file in a run: its settings, and how good it is before any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tempreg.config import RunConfig
from tempreg.config.schema import ModelConfig
from tempreg.interop.nir_graphs import FromNIR
from tempreg.objectives import Objective, RateLoss, SquaredLoss
from tempreg.runs.build import build_data, build_model
from tempreg.runs.launch import device_type, on_one_device
from tempreg.runs.own.network import check_network
from tempreg.runs.own.trust import EVERYTHING, NIR
from tempreg.training.arithmetic import arithmetic
from tempreg.training.evaluate import evaluate
from tempreg.training.scored import Scored


def imported_model(file: Path, dt: float | None = None) -> tuple[ModelConfig, float]:
    """Settings of the network in a file, which must stay where it is, and its timestep.

    Raises:
        NIRError, PackageMissing: see `FromNIR`.
    """
    path = file.expanduser().resolve()
    network = FromNIR(path, dt=dt)
    return ModelConfig(name=NIR, own={"file": str(path), "dt": network.dt}), network.dt


def scored(config: RunConfig) -> tuple[nn.Module, Scored]:
    """The network that the settings name, and what it scores on the test split, in float32.

    It is computed on the settings' device where that is here, else on the CPU: they may be for
    training elsewhere.

    Raises:
        ConfigError: its inputs or outputs don't fit the data.
    """
    data = build_data(config)
    network = build_model(config, data, EVERYTHING)
    check_network(config, data, network)
    place = torch.device(device_type(on_one_device(config)))
    loss: Objective = SquaredLoss(supervise="mean") if data.numbers else RateLoss()
    how: dict[str, Any] = {"batch_size": config.batch_size, "device": place}
    with arithmetic(place.type, tf32=False):
        totals = evaluate(network.to(place), loss, data.test, **how)
    return network, totals.evaluation()
