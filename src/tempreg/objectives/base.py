"""What every objective shares: named terms, output layouts and target kinds.

Shapes, with time first: outputs [T, B, C, *D] where D is empty for classification and, say,
(H, W) for segmentation; targets are class indices [B, *D] of an integer dtype, or one-hot or
soft targets [B, C, *D].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.objectives.labels import check_classes, check_probabilities

Outputs = Tensor | Sequence[Tensor]
_NO_INDEX = -(2**62)
"""No label is this, so that none is left out of a loss in silence, as PyTorch's -100 is."""


class Objective(nn.Module, ABC):
    """A training loss over the logits of all timesteps. Subclass it and define `compute`.

    Calling it with (outputs, targets) returns the sum of the terms as a scalar. Afterwards
    `terms` holds each of them by name, detached, for logging.

    Args:
        time_dim: where the outputs have time: 0 for [T, B, C, *D], 1 for [B, T, C, *D]. A list
            or tuple of per-step outputs [B, C, *D] needs none.
    """

    def __init__(self, *, time_dim: int = 0) -> None:
        super().__init__()
        if time_dim not in (0, 1):
            raise ValueError(f"time_dim must be 0 ([T, B, C]) or 1 ([B, T, C]), got {time_dim!r}")
        self.time_dim = time_dim
        self.terms: dict[str, Tensor] = {}

    @abstractmethod
    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The terms of the loss by name, each a scalar; they add up to the loss.

        outputs [T, B, C, *D] in float32 or float64; targets as described in this module.
        """

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """The loss, a scalar.

        Raises:
            ValueError: the shapes of outputs and targets don't fit, and both are named; or a target
                is no class, or no probability (said of targets on a CPU).
        """
        outputs = time_first(outputs, self.time_dim)
        check_targets(outputs, targets)
        # Under autocast the losses would run in half precision and lose small differences.
        with _no_autocast(outputs.device.type):
            terms = self.compute(_at_least_float32(outputs), targets)
        self.terms = {name: term.detach() for name, term in terms.items()}
        return torch.stack([term.to(outputs.device) for term in terms.values()]).sum()


def time_first(outputs: Outputs, time_dim: int) -> Tensor:
    """Outputs as [T, B, C, *D], from a tensor or a sequence of per-step tensors."""
    if not isinstance(outputs, Tensor):
        outputs = tuple(outputs)
        if not outputs:
            raise ValueError("the list of per-step outputs is empty: T must be at least 1")
        shapes = {tuple(step.shape) for step in outputs}
        if len(shapes) > 1:
            raise ValueError(f"the per-step outputs have different shapes: {sorted(shapes)}")
        outputs, time_dim = torch.stack(outputs), 0
    if outputs.ndim < 3:
        raise ValueError(
            f"outputs need the dimensions time, batch and class, got shape {[*outputs.shape]}"
        )
    return outputs.movedim(time_dim, 0)


def check_targets(outputs: Tensor, targets: Tensor) -> None:
    """ValueError where targets are neither class indices [B, *D] nor probabilities [B, C, *D].

    Values are looked at on a CPU only: elsewhere the program would wait for the device in each
    step, and PyTorch's own assertion there ends it at an index out of range.
    """
    steps, batch, classes, *rest = outputs.shape
    if steps < 1:
        raise ValueError(f"outputs {[*outputs.shape]} have no timestep: T must be at least 1")
    indices, distribution = (batch, *rest), (batch, classes, *rest)
    if targets.shape == distribution:
        if targets.is_cpu:
            check_probabilities(targets)
        return
    if targets.shape == indices:
        if targets.is_floating_point() or targets.is_complex():
            raise ValueError(
                f"targets of shape {[*targets.shape]} are taken as class indices and must be of "
                f"an integer dtype, got {targets.dtype}"
            )
        if targets.is_cpu:
            check_classes(targets, classes)
        return
    raise ValueError(
        f"targets of shape {[*targets.shape]} don't match outputs of shape {[*outputs.shape]} "
        f"(T={steps}, B={batch}, C={classes}): expected class indices {[*indices]} or "
        f"probabilities {[*distribution]}; if time is not the first dimension, set time_dim=1"
    )


def is_distribution(outputs: Tensor, targets: Tensor) -> bool:
    """Whether targets are one-hot or soft, rather than indices."""
    return targets.ndim == outputs.ndim - 1


def cross_entropy_per_step(outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """mean_t CE(o[t], y): the same as over all steps at once, for all have one batch size.

    `smoothing` spreads this share of each target evenly over the classes.
    """
    targets = targets.to(outputs.dtype) if is_distribution(outputs, targets) else targets.long()
    repeated = targets.expand(len(outputs), *targets.shape)
    return F.cross_entropy(
        outputs.flatten(0, 1),
        repeated.flatten(0, 1),
        ignore_index=_NO_INDEX,
        label_smoothing=smoothing,
    )


def one_hot(outputs: Tensor, targets: Tensor) -> Tensor:
    """Targets as probabilities [B, C, *D] in the dtype of the outputs."""
    if is_distribution(outputs, targets):
        return targets.to(outputs.dtype)
    classes = F.one_hot(targets.long(), outputs.shape[2])
    return classes.movedim(-1, 1).to(outputs.dtype)


def _no_autocast(device_type: str) -> AbstractContextManager[object]:
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)


def _at_least_float32(outputs: Tensor) -> Tensor:
    return outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs
