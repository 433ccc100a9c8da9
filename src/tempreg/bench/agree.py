"""Whether two ways to do the same thing gave the same result: asked before any time is taken."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tempreg.bench.results import Disagreement


def agree(what: str, ours: Sequence[Tensor], theirs: Sequence[Tensor], tolerance: float) -> None:
    """Nothing, or Disagreement: |a - b| / |b| of each pair must be at most `tolerance`.

    0 asks for the same numbers. The norms are Euclidean, over all elements. A result that is
    zero throughout agrees with nothing: a comparison of it would show nothing.
    """
    for place, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a.shape != b.shape:
            raise Disagreement(f"{what}: result {place} has shape {[*a.shape]}, not {[*b.shape]}")
        a, b = a.detach().double(), b.detach().double()
        size = torch.linalg.vector_norm(b)
        error = torch.linalg.vector_norm(a - b) / size
        if not error <= tolerance:
            raise Disagreement(
                f"{what}: result {place} differs by {float(error):.3g} of its size, "
                f"more than {tolerance:g}; no times are reported"
            )
