"""Anytime behaviour: how good the answer is after each timestep, and when to stop listening.

The answer after t steps is softmax(mean_{s <= t} o[s]).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.analysis.aligned import aligned
from tempreg.analysis.aligned import steps as step_heads
from tempreg.analysis.capture import IsNeuron, check_data, chunks, evaluating, logits_of
from tempreg.analysis.result import Result
from tempreg.analysis.spikes import spikes
from tempreg.objectives.over_time import running_means

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)


@final
@dataclass(frozen=True, kw_only=True)
class Anytime(Result):
    """Accuracy, calibration and confidence after each step, and early exit by confidence.

    At a threshold, a sample leaves after the first step with at least that confidence, or the
    last. `exit_energy` is NaN where the energy of steps wasn't given.
    """

    quantity: ClassVar[str] = "anytime"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {
        "accuracy": ("timestep",),
        "confidence": ("timestep",),
        "calibration_error": ("timestep",),
        "loss": ("timestep",),
        "thresholds": ("threshold",),
        "exit_accuracy": ("threshold",),
        "exit_steps": ("threshold",),
        "exit_energy": ("threshold",),
    }
    units: ClassVar[dict[str, str]] = {
        "accuracy": "share of samples",
        "confidence": "largest probability, mean",
        "calibration_error": "expected calibration error",
        "loss": "cross-entropy (nats)",
        "thresholds": "confidence",
        "exit_accuracy": "share of samples",
        "exit_steps": "timesteps, mean",
        "exit_energy": "energy (nJ a sample)",
    }
    accuracy: Array
    confidence: Array
    calibration_error: Array
    loss: Array
    thresholds: Array
    exit_accuracy: Array
    exit_steps: Array
    exit_energy: Array

    def table(self) -> str:
        """By timestep, then early exit by confidence."""
        rows = [
            ("accuracy", *self.accuracy),
            ("mean confidence", *self.confidence),
            ("calibration error", *self.calibration_error),
            ("loss (nats)", *self.loss),
        ]
        columns = (self.thresholds, self.exit_accuracy, self.exit_steps, self.exit_energy)
        exits = [(f"{row[0]:g}", *row[1:]) for row in zip(*columns, strict=True)]
        left = aligned(("exit at confidence", "accuracy", "mean steps", "energy (nJ)"), exits)
        table = f"{aligned(('', *step_heads(len(self.accuracy))), rows)}\n{left}"
        why = self.settings.get("energy")
        return f"{table}\nenergy {why}" if why else table

    def figure(self) -> Figure:
        """All by timestep, and accuracy against the mean steps (and energy) of early exit."""
        from tempreg.analysis.figures.anytime import anytime_figure

        return anytime_figure(self)


def anytime(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    bins: int = 15,
    energy_per_step: Array | None = None,
    is_neuron: IsNeuron | None = None,
    chunk: int = 64,
) -> Anytime:
    """How good the running mean of the logits is; eval mode, the model is unchanged.

    Args:
        model, inputs, targets: see `tempreg.analysis.capture`.
        thresholds: confidences in [0, 1] to leave at.
        bins: of the expected calibration error, equally wide; see `calibration_error`.
        energy_per_step: [T] nJ a sample, as `spikes(...).energy`; what an early exit costs is
            taken from this average, the same for all samples. None: `spikes` measures it, and
            where it can't, energy is NaN and `settings["energy"]` says why.
        is_neuron: which modules are neurons, for that; see `spikes`.
        chunk: samples at once, >= 1, which bounds memory, beside all logits.

    Raises:
        ValueError: bad arguments, data that aren't fixed tensors, a model without [T, B, C].
    """
    levels = np.array(thresholds, dtype=np.float64)
    if not levels.size or levels.min() < 0 or levels.max() > 1:
        raise ValueError(f"thresholds must be at least one number in [0, 1], got {thresholds}")
    if bins < 1:
        raise ValueError(f"bins must be >= 1, got {bins}")
    means = answers(model, inputs, targets, chunk)
    steps = len(means)
    chances, predicted = means.softmax(dim=-1).max(dim=-1)
    sure, correct = chances.cpu().numpy(), (predicted == targets).cpu().numpy()
    repeated = targets.long().expand(steps, -1).flatten()
    losses = F.cross_entropy(means.flatten(0, 1), repeated, reduction="none").view(steps, -1)
    per_step, why = energy_per_step, ""
    if per_step is None:
        per_step, why = _energy(model, inputs, is_neuron, chunk)
    energy = np.full(steps, np.nan) if why else np.cumsum(per_step)
    if energy.shape != (steps,):
        raise ValueError(f"energy_per_step has shape {energy.shape}, but the model T={steps}")
    left = np.stack([exit_steps(sure, level) for level in levels])
    chosen = np.stack([np.take_along_axis(correct, row[None], axis=0)[0] for row in left])
    return Anytime(
        accuracy=correct.mean(axis=1),
        confidence=sure.mean(axis=1),
        calibration_error=np.array(
            [calibration_error(*pair, bins) for pair in zip(sure, correct, strict=True)]
        ),
        loss=losses.mean(dim=1).cpu().numpy(),
        thresholds=levels,
        exit_accuracy=chosen.mean(axis=1),
        exit_steps=1.0 + left.mean(axis=1),
        exit_energy=energy[left].mean(axis=1),
        settings={"samples": len(targets), "T": steps, "bins": bins, "chunk": chunk}
        | ({"energy": why} if why else {}),
    )


def _energy(
    model: nn.Module, inputs: Tensor, is_neuron: IsNeuron | None, chunk: int
) -> tuple[Array, str]:
    """nJ a sample at each timestep, [T], and why it can't be known, "" where it is."""
    none: Array = np.zeros(0)
    try:
        found = spikes(model, inputs, is_neuron=is_neuron, chunk=chunk)
    except ValueError as error:
        return none, f"not known: {error}"
    if not found.weight_layers:
        return none, "not known: no linear layer or convolution ran, whose operations are counted"
    return found.energy, ""


def answers(model: nn.Module, inputs: Tensor, targets: Tensor, chunk: int) -> Tensor:
    """mean_{s <= t} o[s] for every t, float64 [T, N, C], in eval mode, `chunk` at once."""
    check_data(inputs, targets)
    with evaluating(model), torch.no_grad():
        parts = [logits_of(model, x, y).double() for x, y in chunks(inputs, targets, chunk)]
    return running_means(torch.cat(parts, dim=1))


def exit_steps(confidence: Array, threshold: float) -> NDArray[np.intp]:
    """The first step (from 0) of confidence [T, N] at or above the threshold, or the last, [N]."""
    reached = confidence >= threshold
    first: NDArray[np.intp] = reached.argmax(axis=0)
    return np.where(reached.any(axis=0), first, len(confidence) - 1)


def calibration_error(confidence: Array, correct: NDArray[np.bool_], bins: int) -> float:
    """sum_b (n_b / N) |accuracy_b - mean confidence_b| over equally wide bins (lower, upper].

    The expected calibration error of Guo et al. (2017, arXiv 1706.04599); arguments [N].
    """
    found = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(found, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


@final
@dataclass(frozen=True, kw_only=True)
class StepTransfer(Result):
    """Accuracy at each step of a network that runs at other T than it was trained at.

    Row i ran at num_steps[i]; what lies beyond is NaN.
    """

    quantity: ClassVar[str] = "step_transfer"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {
        "num_steps": ("run",),
        "accuracy": ("run", "timestep"),
    }
    units: ClassVar[dict[str, str]] = {"num_steps": "timesteps", "accuracy": "share of samples"}
    num_steps: Array
    accuracy: Array

    def table(self) -> str:
        """Accuracy by T and step."""
        heads = ("accuracy", *step_heads(self.accuracy.shape[1]))
        rows = zip(self.num_steps, self.accuracy, strict=True)
        return aligned(heads, [(f"run at T = {steps:g}", *row) for steps, row in rows])

    def figure(self) -> Figure:
        """One line for each T."""
        from tempreg.analysis.figures.anytime import transfer_figure

        return transfer_figure(self)


def step_transfer(
    at: Callable[[int], tuple[nn.Module, Tensor, Tensor]],
    num_steps: Sequence[int],
    *,
    chunk: int = 64,
) -> StepTransfer:
    """Accuracy on the running mean of the logits, at each T of `num_steps`.

    Args:
        at: T -> (model, inputs, targets). Events must be binned anew for each T, which only
            the caller can; a network of static input must repeat it T times.
        num_steps: at least one, each >= 1.
        chunk: samples at once.

    Raises:
        ValueError: bad arguments, or a model that gives other than T steps.
    """
    if not num_steps or min(num_steps) < 1:
        raise ValueError(f"num_steps must be at least one number >= 1, got {num_steps}")
    accuracy = np.full((len(num_steps), max(num_steps)), np.nan)
    samples = 0
    for row, steps in enumerate(num_steps):
        model, inputs, targets = at(steps)
        means = answers(model, inputs, targets, chunk)
        if len(means) != steps:
            raise ValueError(f"the model was to run {steps} timesteps but gave {len(means)}")
        samples = len(targets)
        correct = means.argmax(dim=-1) == targets
        accuracy[row, :steps] = correct.double().mean(dim=1).cpu().numpy()
    return StepTransfer(
        num_steps=np.array(num_steps, dtype=np.float64),
        accuracy=accuracy,
        settings={"samples": samples, "chunk": chunk},
    )
