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
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", None, persistent=False)

    @abstractmethod
    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The terms of the loss by name, each a scalar; they add up to the loss.

        Names are free. In metrics, one that a metric has already, as "lr", is "term_lr".

        outputs [T, B, C, *D] in float32 or float64; targets as described in this module.
        """

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """ValueError where targets don't fit outputs [T, B, C, *D]. Override it for others than
        classes."""
        check_targets(outputs, targets)

    def arranged(self, targets: Tensor, outputs: Tensor) -> Tensor:
        """Targets as `check` and `compute` take them. Override it where they have time."""
        return targets

    def part(self, targets: Tensor, length: int, chosen: Tensor) -> Tensor:
        """Targets of the samples `chosen`, of the first timesteps. Override it where they have
        time."""
        return targets[chosen]

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """How far training is: `epoch`, from 0, of `epochs` begins. Override it to use that.

        Training calls it in every process at the start of each epoch, again when a run goes on
        within one, and with the last epoch before the final evaluation; so does whatever reads a
        finished run back. What it sets is not stored, and must follow from the two numbers.
        Here it tells the objectives that this one is built around.
        """
        for part in self.children():
            if isinstance(part, Objective):
                part.begin_epoch(epoch, epochs)

    def weigh_classes(self, weights: Tensor | None) -> None:
        """Weigh the classes in every cross-entropy to the targets, in those of the objectives that
        this one is built around, too; other terms stay as they are.

            CE(o, y) = -(1 / N) sum_n sum_c weights[c] y[n, c] log softmax(o[n])[c]

        y is the target as probabilities, one-hot for class indices. It is divided by the number of
        samples, not by their weights as torch's mean over class indices is, so that a batch's loss
        is the mean of its samples'.

        Args:
            weights: [C], finite and >= 0, not all 0; None: all 1.

        Raises:
            ValueError: other weights.
        """
        if weights is not None:
            weights = weights.detach().double()
            fine = weights.ndim == 1 and bool(torch.isfinite(weights).all() & (weights >= 0).all())
            if not fine or not weights.any():
                raise ValueError(
                    "class weights are one a class, finite, >= 0 and not all 0, got "
                    f"{weights.tolist()}"
                )
        self.class_weights = weights
        for part in self.children():
            if isinstance(part, Objective):
                part.weigh_classes(weights)

    def cross_entropy(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """mean_t CE(o[t], y) with the weights of `weigh_classes`; see `cross_entropy_per_step`."""
        return cross_entropy_per_step(outputs, targets, smoothing, self.class_weights)

    def forward(self, outputs: Outputs, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The loss, a scalar.

        Args:
            outputs, targets: as in this module's text.
            lengths: int64 [B], of sequences that end before T: each counts with its own
                timesteps alone, so that the loss is the mean of the sequences' one by one, a
                penalty's T included. None: all have T.

        Raises:
            ValueError: shapes or devices of outputs and targets don't fit, and both are named; or a
                target is no class, or no probability (said of targets on a CPU); or lengths are
                not in [1, T], one a sample.
        """
        outputs = time_first(outputs, self.time_dim)
        targets = self.arranged(targets, outputs)
        self.check(outputs, targets)
        # Under autocast the losses would run in half precision and lose small differences.
        with _no_autocast(outputs.device.type):
            outputs = _at_least_float32(outputs)
            if lengths is None:
                terms = self.compute(outputs, targets)
            else:
                terms = self._by_length(outputs, targets, lengths)
        if not terms:
            raise ValueError(f"{type(self).__name__}.compute gave no terms: a loss needs one")
        self.terms = {str(name): term.detach() for name, term in terms.items()}
        return torch.stack([term.to(outputs.device) for term in terms.values()]).sum()

    def _by_length(self, outputs: Tensor, targets: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Terms of the sequences of each length, weighted by how many these are."""
        steps, batch = outputs.shape[:2]
        fits = lengths.shape == (batch,) and not lengths.is_floating_point()
        if not fits or int(lengths.min()) < 1 or int(lengths.max()) > steps:
            raise ValueError(
                f"lengths are whole numbers in [1, {steps}], one for each of {batch} samples, got "
                f"{lengths.tolist()}"
            )
        terms: dict[str, Tensor] = {}
        for length in lengths.unique().tolist():
            chosen = (lengths == length).nonzero().squeeze(1)
            part = self.compute(outputs[:length, chosen], self.part(targets, length, chosen))
            for name, term in part.items():
                weighed = term * (len(chosen) / batch)
                terms[name] = terms[name] + weighed if name in terms else weighed
        return terms


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
    """ValueError where targets are neither class indices [B, *D] nor probabilities [B, C, *D], or
    on another device than outputs.

    Values are looked at on a CPU only: elsewhere the program would wait for the device in each
    step, and PyTorch's own assertion there ends it at an index out of range.
    """
    if targets.device != outputs.device:
        raise ValueError(
            f"targets are on {targets.device}, but outputs on {outputs.device}: move one of them "
            "with .to()"
        )
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


def cross_entropy_per_step(
    outputs: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """mean_t CE(o[t], y): the same as over all steps at once, for all have one batch size.

    `smoothing` spreads this share of each target evenly over the classes; `weights` [C]:
    see `Objective.weigh_classes`.
    """
    targets = targets.to(outputs.dtype) if is_distribution(outputs, targets) else targets.long()
    repeated = targets.expand(len(outputs), *targets.shape)
    if weights is not None and len(weights) != outputs.shape[2]:
        raise ValueError(f"{len(weights)} class weights, but outputs of {outputs.shape[2]} classes")
    loss = F.cross_entropy(
        outputs.flatten(0, 1),
        repeated.flatten(0, 1),
        weight=None if weights is None else weights.to(outputs),
        ignore_index=_NO_INDEX,
        reduction="mean" if weights is None else "sum",
        label_smoothing=smoothing,
    )
    return loss if weights is None else loss * outputs.shape[2] / outputs.numel()


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
