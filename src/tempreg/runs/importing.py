"""A network from a NIR file in a run: its settings, and how good it is before any training."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from tempreg.config import RunConfig
from tempreg.config.schema import ModelConfig
from tempreg.interop.nir_graphs import FromNIR
from tempreg.objectives import Objective, RateLoss, SquaredLoss
from tempreg.runs.build import build_data, build_model
from tempreg.runs.own.network import check_network
from tempreg.runs.own.trust import EVERYTHING, NIR
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
    """The network that the settings name, and what it scores on the test split.

    Raises:
        ConfigError: its inputs or outputs don't fit the data.
    """
    data = build_data(config)
    network = build_model(config, data, EVERYTHING)
    check_network(config, data, network)
    loss: Objective = SquaredLoss(supervise="mean") if data.numbers else RateLoss()
    totals = evaluate(network, loss, data.test, batch_size=config.batch_size)
    return network, totals.evaluation()
