"""Inputs made worse, by kind and strength: [T, B, C, H, W] (or [T, B, F]) in, the same out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def blank_early(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """The first round(strength T) steps show nothing (0)."""
    worse = x.clone()
    worse[: round(strength * len(x))] = 0
    return worse


def blank_late(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """The last round(strength T) steps show nothing (0)."""
    worse = x.clone()
    worse[len(x) - round(strength * len(x)) :] = 0
    return worse


def drop(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Each event is lost with probability `strength`; in frames that aren't counts, each value."""
    if bool(((x >= 0) & (x == x.round())).all()):
        kept = torch.full_like(x, 1 - strength, device="cpu")
        return torch.binomial(x.cpu(), kept, generator=generator).to(x)
    return x * (torch.rand(x.shape, generator=generator) >= strength).to(x)


def noise(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Adds normal noise, of `strength` times the standard deviation of the inputs."""
    normal = torch.randn(x.shape, generator=generator).to(x)
    spread = x.std() if x.numel() > 1 else 0.0
    return x + strength * spread * normal


def blur(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """A Gaussian filter over H and W, of standard deviation `strength` pixels; edges repeat."""
    from scipy.ndimage import gaussian_filter1d

    if x.ndim != 5:
        raise ValueError(f"only [T, B, C, H, W] can be blurred, got shape {[*x.shape]}")
    if strength == 0:
        return x
    values = x.cpu().numpy()
    for axis in (-2, -1):
        values = gaussian_filter1d(values, strength, axis=axis, mode="nearest")
    return torch.from_numpy(values).to(x)


Corrupt = Callable[[Tensor, float, torch.Generator], Tensor]
CORRUPTIONS: dict[str, tuple[Corrupt, str, tuple[float, ...]]] = {
    "blank early input": (blank_early, "share of steps", (0.25, 0.5, 0.75)),
    "blank late input": (blank_late, "share of steps", (0.25, 0.5, 0.75)),
    "event drop": (drop, "share of events", (0.25, 0.5, 0.75, 0.9)),
    "noise": (noise, "of the inputs' sd", (0.25, 0.5, 1.0, 2.0)),
    "blur": (blur, "pixels", (0.5, 1.0, 2.0, 3.0)),
}
