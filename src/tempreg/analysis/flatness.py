"""Flatness: how fast loss and accuracy get worse as the weights move. Forward passes only.

The loss is the cross-entropy of mean_t o[t]. An objective that shrinks logits (eta * MSE does)
makes that loss flatter without changing a decision, so it is also given at one temperature,
fitted where the weights are unmoved: compare networks by that one and by accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tempreg.analysis.aligned import aligned
from tempreg.analysis.capture import evaluating
from tempreg.analysis.result import Result
from tempreg.analysis.scores import Score, checked_logits, score
from tempreg.analysis.sharpness import Landscape, ascent_rise, random_rise
from tempreg.analysis.weights import (
    Weights,
    filter_normalised,
    gaussian,
    mean_logits_at,
    moved_weights,
)
from tempreg.objectives.over_time import fit_temperature

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
_NATS, _SHARE = "cross-entropy (nats)", "accuracy"
_WAYS = {"line": ("radius",), "plane": ("plane_radius", "plane_radius"), "noise": ("sigma", "draw")}


@final
@dataclass(frozen=True, kw_only=True)
class Flatness(Result):
    """Loss, loss at `temperature` and accuracy along slices, under noise, and sharpness.

    `line` is along the first direction, `plane` spans both (first index: first direction);
    radius 1 moves each filter by its own norm. `noise` is w (1 + sigma n), n standard normal;
    `noise_drop` is the share of the unmoved network's accuracy that is lost under it, NaN where
    that is 0. The setting `gains` says whether batch norm's gains were moved too.
    `sharpness_*` are rises of the scaled loss within |e| <= rho |w|; see `analysis.sharpness`.
    """

    quantity: ClassVar[str] = "flatness"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {
        "radii": ("radius",),
        "plane_radii": ("plane_radius",),
        "sigmas": ("sigma",),
        "rhos": ("rho",),
        "sharpness_random": ("rho",),
        "sharpness_ascent": ("rho",),
        "noise_drop": ("sigma", "draw"),
        **{f"{way}_{x}": at for way, at in _WAYS.items() for x in Score._fields},
    }
    units: ClassVar[dict[str, str]] = {
        "radii": "filter norms",
        "plane_radii": "filter norms",
        "sigmas": "of each weight",
        "rhos": "of each weight",
        "noise_drop": "share of the accuracy without noise",
        "sharpness_random": _NATS,
        "sharpness_ascent": _NATS,
        **{
            f"{way}_{x}": _SHARE if x == "accuracy" else _NATS
            for way in _WAYS
            for x in Score._fields
        },
    }
    loss: float
    scaled_loss: float
    accuracy: float
    temperature: float
    radii: Array
    line_loss: Array
    line_scaled_loss: Array
    line_accuracy: Array
    plane_radii: Array
    plane_loss: Array
    plane_scaled_loss: Array
    plane_accuracy: Array
    sigmas: Array
    noise_loss: Array
    noise_scaled_loss: Array
    noise_accuracy: Array
    rhos: Array
    sharpness_random: Array
    sharpness_ascent: Array
    noise_drop: Array = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def moved(self) -> str:
        """What was moved, in words."""
        gains = "with" if self.settings.get("gains") else "without"
        return f"weights, {gains} batch norm's gains"

    def table(self) -> str:
        """The network, the ends of the line, the noise, and the sharpness; what was moved."""
        named = ("", "loss", "scaled loss", "accuracy")
        rows: list[tuple[str | float, ...]] = []
        rows.append(("as it is", self.loss, self.scaled_loss, self.accuracy))
        for i in (0, -1):
            line = (self.line_loss[i], self.line_scaled_loss[i], self.line_accuracy[i])
            rows.append((f"line at {self.radii[i]:+g} filter norms", *map(float, line)))
        for i, sigma in enumerate(self.sigmas):
            noise = (self.noise_loss[i], self.noise_scaled_loss[i], self.noise_accuracy[i])
            rows.append((f"noise {sigma:g}, mean", *(float(x.mean()) for x in noise)))
            rows.append((f"noise {sigma:g}, sd", *(float(x.std()) for x in noise)))
        both = zip(self.rhos, self.sharpness_random, self.sharpness_ascent, strict=True)
        sharp = [(f"{rho:g}", float(a), float(b)) for rho, a, b in both]
        heads = ("rise of scaled loss within", "random", "ascent")
        every = zip(self.sigmas, self.noise_drop, strict=False)  # which earlier versions had not
        lost = [(f"{sigma:g}", float(x.mean())) for sigma, x in every]
        drops = ("share of accuracy lost at noise", "mean")
        parts = [aligned(named, rows), *([aligned(drops, lost)] if lost else [])]
        return "\n".join([*parts, aligned(heads, sharp, ".4f"), f"moved: {self.moved}"])

    def figure(self) -> Figure:
        """Slices, noise (mean and standard deviation over draws) and sharpness."""
        from tempreg.analysis.figures.flatness import flatness_figure

        return flatness_figure(self)


def flatness(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    seed: int = 0,
    radius: float = 1.0,
    points: int = 21,
    plane_points: int = 11,
    sigmas: Sequence[float] = (0.05, 0.1, 0.2, 0.4),
    draws: int = 5,
    rhos: Sequence[float] = (0.01, 0.03, 0.1),
    corners: int | None = None,
    ascent_steps: int = 5,
    gains: bool = False,
    calibration: tuple[Tensor, Tensor] | None = None,
    chunk: int = 64,
) -> Flatness:
    """Flatness around the weights, which are not written to; eval mode.

    Networks of one architecture with one `seed` are moved along the same directions, scaled to
    each one's own filters. Biases stay, and without `gains` batch norm as a whole.

    Args:
        model: inputs -> logits [T, B, classes].
        inputs, targets: see `tempreg.analysis.capture`; fixed, without augmentation.
        seed: of directions, noise and corners.
        radius: the slices reach so far to both sides, in filter norms.
        points, plane_points: along each axis, odd; the plane takes plane_points² passes.
        sigmas, draws: of the noise, each sigma > 0.
        rhos, corners, ascent_steps: of the sharpness; corners for each rho (None: draws).
        gains: whether batch norm's gains are moved as well.
        calibration: (inputs, targets) to fit the temperature on; the given data if None.
            Held-out data are better: on data it has learned, any network seems sure for good.
        chunk: samples at once, which bounds memory (beside one or two copies of the weights).

    Raises:
        ValueError: bad arguments, data that aren't fixed tensors, a model without [T, B, C].
    """
    corners = draws if corners is None else corners
    counts = {"draws": draws, "corners": corners, "ascent_steps": ascent_steps}
    _check(points, plane_points, counts, [radius, *sigmas, *rhos])
    around = _Around(model, inputs, targets, calibration, seed, chunk, gains)
    radii, plane_radii = _grid(radius, points), _grid(radius, plane_points)
    with evaluating(model):
        slices = _fields("line", around.line(radii), (points,))
        slices |= _fields("plane", around.plane(plane_radii), (plane_points, plane_points))
        slices |= _fields("noise", around.noise(sigmas, draws), (len(sigmas), draws))
        slices |= around.sharpness(rhos, corners, ascent_steps)
    return Flatness(
        **around.here._asdict(),
        **slices,
        temperature=around.temperature,
        radii=radii,
        plane_radii=plane_radii,
        sigmas=np.array(sigmas, dtype=np.float64),
        rhos=np.array(rhos, dtype=np.float64),
        noise_drop=1 - slices["noise_accuracy"] / (around.here.accuracy or np.nan),
        settings=around.settings | counts,
    )


@final
class _Around:
    """The network with its weights moved, scored on the same data each time."""

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        calibration: tuple[Tensor, Tensor] | None,
        seed: int,
        chunk: int,
        gains: bool,
    ) -> None:
        self.model, self.inputs, self.targets = model, inputs, targets
        self.seed, self.chunk = seed, chunk
        unmoved = checked_logits(model, inputs, targets, chunk)
        fit = (unmoved, targets)
        if calibration is not None:
            fit = (checked_logits(model, *calibration, chunk), calibration[1])
        self.temperature = fit_temperature(*fit)
        self.here = score(unmoved, targets, self.temperature)
        self.weights = moved_weights(model, gains=gains)
        self.settings: dict[str, Any] = {
            "samples": len(targets),
            "seed": seed,
            "chunk": chunk,
            "moved": list(self.weights),
            "gains": gains,
            "temperature_from": "the same data" if calibration is None else "other data",
        }
        self.first, self.second = (
            filter_normalised(gaussian(self.weights, seed, "direction", k), self.weights)
            for k in (0, 1)
        )

    def at(self, offset: Weights) -> Score:
        moved = {name: w + offset[name] for name, w in self.weights.items()}
        logits = mean_logits_at(self.model, moved, self.inputs, self.targets, self.chunk)
        return score(logits, self.targets, self.temperature)

    def line(self, radii: Array) -> list[Score]:
        return [self.at(_sum(self.first, a)) for a in radii]

    def plane(self, radii: Array) -> list[Score]:
        return [self.at(_sum(self.first, a, self.second, b)) for a in radii for b in radii]

    def noise(self, sigmas: Sequence[float], draws: int) -> list[Score]:
        scores = []
        for index, sigma in enumerate(sigmas):
            for draw in range(draws):
                normal = gaussian(self.weights, self.seed, "noise", index, draw)
                scores.append(self.at({n: sigma * w * normal[n] for n, w in self.weights.items()}))
        return scores

    def sharpness(self, rhos: Sequence[float], corners: int, steps: int) -> dict[str, Any]:
        data = (self.inputs, self.targets, self.temperature, self.chunk)
        landscape = Landscape(self.model, self.weights, *data)
        random = [random_rise(landscape, rho, corners, self.seed) for rho in rhos]
        climbs = [ascent_rise(landscape, rho, steps) for rho in rhos]
        return {"sharpness_random": np.array(random), "sharpness_ascent": np.array(climbs)}


def _check(points: int, plane_points: int, counts: dict[str, int], sizes: Sequence[float]) -> None:
    for name, count in (("points", points), ("plane_points", plane_points)):
        if count < 1 or count % 2 == 0:
            raise ValueError(f"{name} must be odd, so that the middle is the network; got {count}")
    for name, number in counts.items():
        if number < 1:
            raise ValueError(f"{name} must be >= 1, got {number}")
    if min(sizes) <= 0:
        raise ValueError(f"radius, sigmas and rhos must be > 0, got {min(sizes)}")


def _grid(radius: float, points: int) -> Array:
    """Odd and symmetric, with an exact 0 in the middle."""
    half = points // 2
    steps = np.arange(-half, half + 1, dtype=np.float64)
    return steps * (radius / max(half, 1))


def _sum(first: Weights, a: float, second: Weights | None = None, b: float = 0.0) -> Weights:
    """a * first + b * second."""
    if second is None:
        return {name: float(a) * d for name, d in first.items()}
    return {name: float(a) * d + float(b) * second[name] for name, d in first.items()}


def _fields(way: str, scores: Sequence[Score], shape: tuple[int, ...]) -> dict[str, Any]:
    """The scores as arrays, by field name."""
    table = np.array(scores, dtype=np.float64).reshape(*shape, len(Score._fields))
    return {f"{way}_{name}": table[..., i] for i, name in enumerate(Score._fields)}
