"""Are early steps more robust? Accuracy after each step as the input gets worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tempreg.analysis.aligned import aligned
from tempreg.analysis.aligned import steps as step_heads
from tempreg.analysis.anytime import answers
from tempreg.analysis.capture import batch_dim, check_data, chunks, evaluating, logits_of
from tempreg.analysis.corruptions import CORRUPTIONS
from tempreg.analysis.result import Result
from tempreg.training.streams import stream

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Robustness(Result):
    """Accuracy of the running mean of the logits, by corruption, strength and step.

    Row i is of kinds[i], at strengths[i] in strength_units[i]; NaN where it has fewer strengths.
    """

    quantity: ClassVar[str] = "robustness"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {
        "clean": ("timestep",),
        "strengths": ("corruption", "strength"),
        "accuracy": ("corruption", "strength", "timestep"),
    }
    units: ClassVar[dict[str, str]] = {
        "clean": "share of samples",
        "strengths": "by corruption",
        "accuracy": "share of samples",
    }
    kinds: list[str]
    strength_units: list[str]
    clean: Array
    strengths: Array
    accuracy: Array

    def table(self) -> str:
        """Accuracy by corruption, strength and step."""
        rows: list[tuple[str | float, ...]] = [("clean", *self.clean)]
        for kind, levels, found in zip(self.kinds, self.strengths, self.accuracy, strict=True):
            for level, row in zip(levels, found, strict=True):
                if np.isfinite(level):
                    rows.append((f"{kind} {level:g}", *row))
        return aligned(("accuracy", *step_heads(len(self.clean))), rows)

    def figure(self) -> Figure:
        """One panel for each corruption, one line for each strength."""
        from tempreg.analysis.figures.anytime import robustness_figure

        return robustness_figure(self)


def early_robustness(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    corruptions: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
    chunk: int = 64,
) -> Robustness:
    """Accuracy by step under corruptions of increasing strength; eval mode, model unchanged.

    Args:
        model, inputs, targets: see `tempreg.analysis.capture`. A static input is shown at each
            of the model's T steps, and each of these is corrupted on its own.
        corruptions: strengths by name in `analysis.corruptions.CORRUPTIONS`; all there, with
            their strengths, if None (without blur, for inputs without H and W).
        seed: of drops and noise; networks that are compared see the same inputs.
        chunk: samples at once, >= 1, which bounds memory to those and one copy of the inputs.

    Raises:
        ValueError: an unknown corruption, bad data, a model without [T, B, C].
    """
    check_data(inputs, targets)
    with evaluating(model), torch.no_grad():
        first, _ = next(chunks(inputs, targets, chunk))
        steps = len(logits_of(model, first))
    clean = _accuracy(model, inputs, targets, chunk)
    x = inputs if batch_dim(inputs) else inputs.expand(steps, *inputs.shape)
    if corruptions is None:
        spatial = [name for name in CORRUPTIONS if x.ndim == 5 or name != "blur"]
        corruptions = {name: CORRUPTIONS[name][2] for name in spatial}
    if unknown := [name for name in corruptions if name not in CORRUPTIONS]:
        names = ", ".join(CORRUPTIONS)
        raise ValueError(f"unknown corruption {unknown[0]!r}: choose from {names}")
    most = max((len(values) for values in corruptions.values()), default=0)
    strengths = np.full((len(corruptions), most), np.nan)
    accuracy = np.full((len(corruptions), most, steps), np.nan)
    for row, (name, values) in enumerate(corruptions.items()):
        corrupt = CORRUPTIONS[name][0]
        for column, strength in enumerate(values):
            worse = corrupt(x, strength, stream(seed, f"corrupt:{name}", column))
            strengths[row, column] = strength
            accuracy[row, column] = _accuracy(model, worse, targets, chunk)
    return Robustness(
        kinds=list(corruptions),
        strength_units=[CORRUPTIONS[name][1] for name in corruptions],
        clean=clean,
        strengths=strengths,
        accuracy=accuracy,
        settings={"samples": len(targets), "T": steps, "seed": seed, "chunk": chunk},
    )


def _accuracy(model: nn.Module, inputs: Tensor, targets: Tensor, chunk: int) -> Array:
    means = answers(model, inputs, targets, chunk)
    right: Array = (means.argmax(dim=-1) == targets).double().mean(dim=1).cpu().numpy()
    return right
