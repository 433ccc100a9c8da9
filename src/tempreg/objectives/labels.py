"""Whether the values of targets can be meant: class indices in range, probabilities not below 0."""

from __future__ import annotations

import torch
from torch import Tensor

from tempreg.ops.mapping import transformed


def check_classes(targets: Tensor, classes: int) -> None:
    """ValueError for a class index outside 0 ... classes - 1; it names the first one's place.

    No index is left out of a loss, as torch's -100 is. Within `torch.func` transforms and
    torch.compile, where values can't be looked at, nothing is checked.
    """
    if _readable(targets):
        indices = targets.long()
        _refuse(
            indices,
            (indices < 0) | (indices >= classes),
            f"but the outputs have {classes} classes, so class indices are 0 ... {classes - 1}",
        )


def check_probabilities(targets: Tensor) -> None:
    """ValueError for a value that is negative, infinite or NaN, likewise."""
    if _readable(targets):
        values = targets.detach()
        _refuse(
            values,
            ~((values >= 0) & (values < float("inf"))),
            "but targets of the outputs' shape are probabilities, finite and >= 0",
        )


def _readable(targets: Tensor) -> bool:
    return not (transformed() or torch.compiler.is_compiling())


def _refuse(targets: Tensor, bad: Tensor, why: str) -> None:
    if bad.any():
        place = bad.nonzero()[0].tolist()
        raise ValueError(f"targets{place} is {targets[tuple(place)].item()}, {why}")
