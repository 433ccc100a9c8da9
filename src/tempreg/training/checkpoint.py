"""Everything a run needs to go on as if it had never stopped, in one file."""

from __future__ import annotations

import math
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tempreg.errors import RequestError, out_of_memory
from tempreg.files import replacing
from tempreg.models.weights import FAULTS, plain_values

VERSION = 1


@final
class CheckpointError(RequestError):
    """A checkpoint or weights file that can't be used; the message says why."""


@final
@dataclass
class Position:
    """Where a run is, and what it has measured of the epoch it is in.

    Attributes:
        epoch, batch: the next batch to train on, both from 0.
        totals: sums over the batches of this epoch so far; see `evaluate.Totals`.
        best_epoch, best_accuracy: on what the kept epoch is chosen by, the epoch and its score, an
            accuracy or R^2; -1 before the first epoch ends, and always where there is no such data.
        best_loss: of the mean logits there; only where ties are broken by it.
        seconds: training time so far, over all sessions.
    """

    epoch: int = 0
    batch: int = 0
    totals: dict[str, Any] = field(default_factory=dict)
    best_epoch: int = -1
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    seconds: float = 0.0


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Position,
    precision: dict[str, Any],
    settings: str,
) -> None:
    """Replace the checkpoint at `path`.

    `precision` is the state of mixed precision, if any; `settings` stands for what the run is
    trained with, and is asked for again when the checkpoint is loaded.
    """
    content = {
        "version": VERSION,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "precision": precision,
        "settings": settings,
        "position": asdict(position),
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's own, after the system's word for a full disk
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: str
) -> tuple[Position, dict[str, Any]]:
    """Put a run back where it was; CheckpointError where the file is damaged or of another run.

    Returns the position and the state of mixed precision.
    """
    try:
        content = plain_values(path)
        version = content["version"]
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}") from None
    except pickle.UnpicklingError:  # whose message advises to load it all the same
        raise CheckpointError(
            f"the checkpoint {path} is damaged, or holds objects that may run code, which a "
            "checkpoint of tempreg never does: restore it from a copy, or start again in another "
            "folder"
        ) from None
    except FAULTS as error:
        if out_of_memory(error):
            raise
        raise CheckpointError(
            f"the checkpoint {path} is damaged ({_first_line(error)}): restore it from a copy, or "
            "start again in another folder"
        ) from None
    if not isinstance(content, dict) or content.get("settings") != settings:
        raise CheckpointError(
            f"the checkpoint {path} was trained with other settings than config.yaml beside it "
            "has: put these back, or start again in another folder"
        )
    if version != VERSION:
        raise CheckpointError(f"the checkpoint {path} has version {version}, expected {VERSION}")
    try:
        model.load_state_dict(content["model"])
        _keep_ways(content["optimizer"], optimizer)
        optimizer.load_state_dict(content["optimizer"])
        return Position(**content["position"]), content["precision"]
    except FAULTS as error:
        raise CheckpointError(
            f"the checkpoint {path} belongs to another network: {_first_line(error)}"
        ) from None


def _keep_ways(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Let the optimizer go on in its own ways, which follow from the device, with the state."""
    for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=False):
        saved.update({way: own[way] for way in ("fused", "foreach", "capturable") if way in own})


def save_weights(path: Path, model: nn.Module) -> None:
    """Replace the safetensors file at `path` by the weights and buffers of `model`."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary)
        except SafetensorError as error:
            raise OSError(f"can't write {path}: {_first_line(error)}") from error


def restore_weights(model: nn.Module, path: Path) -> None:
    """Load what `save_weights` wrote; CheckpointError where it doesn't fit or is damaged."""
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"there is no weights file {path}") from None
    except (SafetensorError, OSError) as error:
        if out_of_memory(error):
            raise
        raise CheckpointError(
            f"the weights file {path} is damaged ({_first_line(error)}): train again or restore it"
        ) from None
    expected = model.state_dict()
    for name in sorted(expected.keys() ^ tensors.keys()):
        side = "lacks" if name in expected else "has an unknown"
        raise CheckpointError(
            f"the weights file {path} belongs to another network: it {side} tensor {name}"
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"the weights file {path} belongs to another network: {name} has shape "
                f"{[*tensor.shape]}, expected {[*expected[name].shape]}"
            )
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"the weights file {path} holds numbers in {name} that are not finite: restore it, "
                "or train again"
            )
    model.load_state_dict(tensors)


def _first_line(error: BaseException) -> str:
    lines = (str(error) or type(error).__name__).strip().splitlines()
    return " ".join(line.strip() for line in lines[:2])[:300]
