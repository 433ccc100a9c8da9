"""Fisher information over time: how much the loss after t steps pulls at the weights.

    I_t = (1/N) sum_n || grad_w CE(mean_{s <= t} o_n[s], y_n) ||^2,   IC = sum_t t I_t / sum_t I_t

with t from 1 (Kim et al. 2023, AAAI). With the true labels y it is the empirical Fisher
information's trace; with labels sampled from the model's own distribution, the Fisher's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.analysis.capture import check_data, chunks, evaluating, logits_of, recording
from tempreg.analysis.halves import halves, reliability
from tempreg.analysis.per_sample import squared_norms, trainable, weight_layers
from tempreg.analysis.result import Result
from tempreg.foreign import library_of
from tempreg.objectives.over_time import running_means

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ESTIMATORS = ("exact", "signs", "batch")
LABELS = ("true", "sampled")
Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Fisher(Result):
    """I_t in total and by layer, and its centroid with a 95% interval.

    `scaled` is ||w_l||^2 I_{t,l}, which rescaling weights before a batch norm does not change.
    The interval is NaN where there are fewer than two units to draw it from.

    How far all that repeats on other samples is seen from two halves of them (of "batch": of its
    chunks; "signs" has none): `half_profiles` and `half_centroids` are their I_t and centroids,
    `halves_apart` is the distance of the centroids, and `reliability` the correlation of the
    profiles over timesteps, corrected to the full number of samples (see `analysis.halves`).
    """

    quantity: ClassVar[str] = "fisher"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {
        "per_step": ("timestep",),
        "per_layer": ("layer", "timestep"),
        "scaled": ("layer", "timestep"),
        "centroid_interval": ("end",),
        "half_profiles": ("half", "timestep"),
        "half_centroids": ("half",),
    }
    units: ClassVar[dict[str, str]] = {
        "per_step": "Fisher information (nats² / weight²)",
        "per_layer": "Fisher information (nats² / weight²)",
        "scaled": "‖w‖² · Fisher information (nats²)",
        "centroid_interval": "timestep",
        "half_profiles": "Fisher information (nats² / weight²)",
        "half_centroids": "timestep",
    }
    layers: list[str]
    per_step: Array
    per_layer: Array
    scaled: Array
    centroid: float
    centroid_interval: Array
    half_profiles: Array = field(default_factory=lambda: np.zeros((2, 0)))
    half_centroids: Array = field(default_factory=lambda: np.full(2, np.nan))
    halves_apart: float = float("nan")
    reliability: float = float("nan")

    def table(self) -> str:
        """I_t by step, the centroid, and how far both repeat on the other half of the samples."""
        low, high = self.centroid_interval
        rows = [f"{t:>8}  {value:12.5g}" for t, value in enumerate(self.per_step, 1)]
        head = f"timestep   information ({self.settings['estimator']})"
        known = f"  95% {low:.3f} to {high:.3f}" if np.isfinite([low, high]).all() else ""
        lines = [head, *rows, f"centroid {self.centroid:.3f}{known}"]
        if np.isfinite(self.halves_apart):
            lines.append(
                f"two halves of the samples: centroids {self.halves_apart:.3f} apart, "
                f"reliability of the profile {self.reliability:.3f}"
            )
        return "\n".join(lines)

    def figure(self) -> Figure:
        """Total with its centroid, and the scaled information by layer."""
        from tempreg.analysis.figures.time import fisher_figure

        return fisher_figure(self)


def fisher_information(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    estimator: str = "exact",
    seed: int = 0,
    labels: str = "true",
    draws: int = 8,
    chunk: int = 16,
    resamples: int = 2000,
) -> Fisher:
    """I_t for every t, all from one forward pass a chunk, in eval mode; the model is unchanged.

    Args:
        model: inputs -> logits [T, B, classes].
        inputs, targets: see `tempreg.analysis.capture`; held-out data serves as well.
        estimator: "exact" (every sample's own gradient), "signs" (unbiased: the squared
            gradient of sum_n ±l_n, over `draws` random signs), or "batch" (as published: the
            squared gradient of each chunk's mean loss; it is biased).
        seed: of signs, sampled labels and the bootstrap.
        labels: "true", or "sampled" from softmax(mean_{s <= t} o).
        draws: of the signs, >= 1; more narrow the estimate. Each costs T backward passes.
        chunk: samples at once, >= 1: bounds memory to one graph of so many samples and, for
            "exact", T times the gradients of all layers' outputs and of one layer's weights. It is
            the batch size of "batch".
        resamples: of the bootstrap over samples ("exact"), draws ("signs") or chunks ("batch").

    Raises:
        ValueError: bad arguments, data that aren't fixed tensors, a model without [T, B, C].
    """
    check_data(inputs, targets)
    _check(estimator, labels, draws)
    layers = weight_layers(model)
    generator = torch.Generator().manual_seed(seed)
    pieces = []
    with evaluating(model):
        for x, y in chunks(inputs, targets, chunk):
            # Only "exact" looks into layers; unobserved, a network takes its faster path.
            with recording(model, layers if estimator == "exact" else {}) as calls:
                logits = logits_of(model, x, y)
            losses = _losses(logits, y if labels == "true" else None, generator)
            if estimator == "exact":
                pieces.append(_exact(layers, calls, losses))
                continue
            factors = losses.new_full((1, len(y)), 1 / len(y))
            if estimator == "signs":
                factors = torch.randint(0, 2, (draws, len(y)), generator=generator) * 2 - 1
            pieces.append(_signed(layers, losses, factors.to(losses)))
    units = torch.cat(pieces) if estimator != "signs" else torch.stack(pieces).sum(0) / len(targets)
    settings = {
        "estimator": estimator,
        "labels": labels,
        "samples": len(targets),
        "seed": seed,
        "draws": draws if estimator == "signs" else None,
        "chunk": chunk,
        "T": units.shape[-1],
    }
    return _result(units.numpy(), layers, seed, resamples, settings)


def _check(estimator: str, labels: str, draws: int) -> None:
    if estimator not in ESTIMATORS:
        raise ValueError(f"unknown estimator {estimator!r}: choose one of {', '.join(ESTIMATORS)}")
    if labels not in LABELS:
        raise ValueError(f"unknown labels {labels!r}: choose one of {', '.join(LABELS)}")
    if draws < 1:
        raise ValueError(f"draws must be >= 1, got {draws}")


def _losses(logits: Tensor, targets: Tensor | None, generator: torch.Generator) -> Tensor:
    """CE(mean_{s <= t} o_n[s], y_n), [T, B]; labels are drawn where there are none."""
    means = running_means(logits)
    if targets is None:
        chances = means.detach().softmax(dim=-1).flatten(0, 1).cpu()
        flat = torch.multinomial(chances, 1, generator=generator)[:, 0].to(logits.device)
    else:
        flat = targets.long().expand(len(logits), -1).flatten()
    return F.cross_entropy(means.flatten(0, 1), flat, reduction="none").view(logits.shape[:2])


def _exact(layers: dict[str, nn.Module], calls: Any, losses: Tensor) -> Tensor:
    """Squared gradient norms, [B, layer, T]."""
    steps, batch = losses.shape
    alone = {n: _one_by_one(m, losses) for n, m in layers.items() if library_of(m)}
    calls = {name: made for name, made in calls.items() if name not in alone}
    outputs = [call.output for made in calls.values() for call in made]
    by_loss = [
        torch.autograd.grad(losses[t].sum(), outputs, retain_graph=t + 1 < steps, allow_unused=True)
        for t in range(steps)
    ]
    by_call = iter(zip(*by_loss, strict=True))
    norms = []
    for name, module in layers.items():
        if name in alone:
            norms.append(alone[name])
            continue
        own = [next(by_call) for _ in calls[name]]
        norms.append(squared_norms(name, module, calls[name], own, steps, batch))
    return torch.stack(norms, dim=1)


def _one_by_one(module: nn.Module, losses: Tensor) -> Tensor:
    """Squared gradient norms [B, T], by one backward pass for each loss of each sample.

    For neurons of another library with parameters: they keep their state to themselves, and
    can't be run again on one sample.
    """
    own = list(trainable(module).values())
    norms = torch.zeros(losses.shape[::-1], dtype=torch.float64)
    for t, row in enumerate(losses):
        for n, loss in enumerate(row):
            grads = torch.autograd.grad(loss, own, retain_graph=True, allow_unused=True)
            norms[n, t] = sum(float(g.double().square().sum()) for g in grads if g is not None)
    return norms


def _signed(layers: dict[str, nn.Module], losses: Tensor, weights: Tensor) -> Tensor:
    """‖∇ Σ_n weight_n ℓ_n‖² for each row of weights [D, B], [D, layer, T]."""
    parameters = [list(trainable(module).values()) for module in layers.values()]
    flat = [p for own in parameters for p in own]
    result = torch.zeros(len(weights), len(layers), len(losses), dtype=torch.float64)
    left = len(weights) * len(losses)
    for d, row in enumerate(weights):
        for t, loss in enumerate(losses):
            left -= 1
            grads = iter(
                torch.autograd.grad(row @ loss, flat, retain_graph=left > 0, allow_unused=True)
            )
            for index, own in enumerate(parameters):
                squares = [
                    g.double().square().sum() for g in (next(grads) for _ in own) if g is not None
                ]
                result[d, index, t] = float(sum(squares))
    return result


def centroid(per_step: Array) -> Array:
    """Σ t I_t / Σ I_t over the last axis, t from 1; NaN where all I_t are 0."""
    t = np.arange(1, per_step.shape[-1] + 1)
    total = per_step.sum(axis=-1)
    safe = np.where(total > 0, total, 1.0)
    centre: Array = np.where(total > 0, (per_step * t).sum(axis=-1) / safe, np.nan)
    return centre


def _result(
    units: Array,
    layers: dict[str, nn.Module],
    seed: int,
    resamples: int,
    settings: dict[str, Any],
) -> Fisher:
    """From one [layer, T] a unit: means, and the bootstrap over units."""
    totals = units.sum(axis=1)
    interval = np.full(2, np.nan)
    if len(units) > 1:
        rng = np.random.default_rng(seed)
        rows = rng.integers(0, len(units), (resamples, len(units)))
        interval = np.quantile(centroid(totals[rows].mean(axis=1)), [0.025, 0.975])
    per_layer = units.mean(axis=0)
    # Draws of signs are all of the same samples, and so say nothing of others.
    apart = totals if settings["estimator"] != "signs" else totals[:0]
    profiles = halves(apart, seed)
    middles = centroid(np.nan_to_num(profiles))
    squares = (
        float(sum(p.detach().double().square().sum() for p in trainable(layer).values()))
        for layer in layers.values()
    )
    norms = np.array(list(squares))
    return Fisher(
        layers=list(layers),
        per_step=totals.mean(axis=0),
        per_layer=per_layer,
        scaled=per_layer * norms[:, None],
        centroid=float(centroid(totals.mean(axis=0))),
        centroid_interval=interval,
        half_profiles=profiles,
        half_centroids=middles,
        halves_apart=float(abs(middles[0] - middles[1])),
        reliability=reliability(profiles),
        settings={**settings, "resamples": resamples},
    )
