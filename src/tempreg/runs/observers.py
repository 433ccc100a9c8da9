"""What a run may do after each epoch beside training: keep its weights, measure its Fisher
information, write for TensorBoard. None draws from the run's random streams, so that it ends with
the same weights.
"""

from __future__ import annotations

import json

import torch
from torch import nn

from tempreg.analysis import fisher_information
from tempreg.analysis.result import plain
from tempreg.config import RunConfig
from tempreg.data import DataSet
from tempreg.files import write_text
from tempreg.training.board import Board
from tempreg.training.checkpoint import save_weights
from tempreg.training.loop import Observer
from tempreg.training.run_directory import RunDirectory, RunDirectoryError
from tempreg.training.streams import stream, stream_seed

SAMPLES = 256
"""Of the training split, the same ones after each epoch, not augmented."""


def observer_for(
    config: RunConfig, data: DataSet, run: RunDirectory, board: Board | None = None
) -> Observer:
    """Does what `snapshot_every` and `fisher_every` ask for, and tells the board."""

    def observe(epoch: int, network: nn.Module) -> None:
        every = config.snapshot_every
        if every and (epoch == 1 or epoch % every == 0):
            save_weights(run.snapshot(epoch), network)
        if config.fisher_every and (epoch == 1 or epoch % config.fisher_every == 0):
            _fisher(config, data, run, epoch, network)
        if board is not None:
            board(epoch, network)

    return observe


def _fisher(
    config: RunConfig, data: DataSet, run: RunDirectory, epoch: int, network: nn.Module
) -> None:
    """A line of analysis/fisher_over_training.jsonl, in place of one of this epoch or a later."""
    order = torch.randperm(len(data.train), generator=stream(config.seed, "fisher"))
    x, y = data.train.batch(order[:SAMPLES].sort().values)
    like = next(network.parameters())
    result = fisher_information(
        network, x.to(like), y.to(like.device), seed=stream_seed(config.seed, "fisher", epoch)
    )
    path = run.path / "analysis" / "fisher_over_training.jsonl"
    path.parent.mkdir(exist_ok=True)
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = [line for line in text.splitlines() if json.loads(line)["epoch"] < epoch]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RunDirectoryError(f"{path} is damaged: delete it to go on without it") from None
    low, high = result.centroid_interval.tolist()
    now = {
        "epoch": epoch,
        "per_step": result.per_step.tolist(),
        "centroid": result.centroid,
        "centroid_interval": [low, high],
        "layers": result.layers,
        "per_layer": result.per_layer.tolist(),
        "scaled": result.scaled.tolist(),
        "settings": result.settings,
    }
    write_text(path, "\n".join([*lines, json.dumps(plain(now), allow_nan=False)]) + "\n")
