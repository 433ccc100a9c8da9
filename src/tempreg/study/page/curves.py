"""What a study shows of each analysis: the curves that `analyze` draws, arms over one another.

A curve is an array of the analysis along one axis. Layers, weights and draws are averaged over,
runs are dots, their mean a line and their spread a band.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tempreg.report.analyses import Analysis, Array
from tempreg.report.page import Picture
from tempreg.report.study_figures import band_figure, landscapes_figure

ByArm = Mapping[str, list[Analysis]]


@final
@dataclass(frozen=True)
class Curve:
    """One figure of an analysis.

    Attributes:
        array, axis: which array, along which of its axes.
        title: of the figure.
        x, y: its labels.
        good: which way is good, or "" where none is.
        factor: that values are multiplied by.
        log: whether y is logarithmic.
    """

    array: str
    axis: str
    title: str
    x: str
    y: str
    good: str = ""
    factor: float = 1.0
    log: bool = False


CURVES: dict[str, tuple[Curve, ...]] = {
    "gradients": (
        Curve(
            "norms",
            "timestep",
            "Gradient by timestep",
            "timestep",
            "‖∂L/∂h[t]‖, mean over layers",
            log=True,
        ),
        Curve(
            "weight_shares",
            "timestep",
            "Where weight gradients arise",
            "timestep",
            "share, mean over weights",
        ),
    ),
    "gradients_own": (
        Curve(
            "first_last",
            "epoch",
            "Gradient of the arm's own loss, first to last timestep",
            "epoch",
            "first timestep / last",
            log=True,
        ),
    ),
    "fisher": (
        Curve(
            "per_step",
            "timestep",
            "Fisher information",
            "timesteps used",
            "Fisher information (nats² / weight²)",
        ),
    ),
    "flatness": (
        Curve(
            "line_scaled_loss",
            "radius",
            "Loss along a line through the weights",
            "distance (filter norms)",
            "scaled cross-entropy (nats)",
            "flatter is better",
        ),
        Curve(
            "noise_accuracy",
            "sigma",
            "Accuracy under weight noise",
            "noise (standard deviation, of each weight)",
            "accuracy in %",
            "higher is better",
            factor=100,
        ),
    ),
    "spikes": (
        Curve(
            "rate",
            "timestep",
            "Firing rate by timestep",
            "timestep",
            "spikes a neuron, mean over layers",
            "lower costs less",
        ),
        Curve(
            "energy",
            "timestep",
            "Arithmetic energy by timestep",
            "timestep",
            "energy (nJ a sample)",
            "lower is better",
        ),
    ),
    "anytime": (
        Curve(
            "accuracy",
            "timestep",
            "Accuracy by timesteps used",
            "timesteps used",
            "accuracy in %",
            "higher is better",
            factor=100,
        ),
        Curve(
            "calibration_error",
            "timestep",
            "Calibration error",
            "timesteps used",
            "expected calibration error in %",
            "lower is better",
            factor=100,
        ),
    ),
    "probes": (
        Curve(
            "accuracy",
            "timestep",
            "Linear probes by timestep",
            "timestep",
            "accuracy in %, mean over layers",
            "higher is better",
            factor=100,
        ),
    ),
}
"""By an analysis' `quantity`."""

_AVERAGED = ("layer", "weight", "weight layer", "draw")


def curves_of(by_arm: ByArm, suffix: str = "") -> list[Picture]:
    """The curves of an analysis, by arm its runs; those that were not measured are left out.

    `suffix` is said of each title, as how else it was measured.
    """
    quantity = next(iter(by_arm.values()))[0].quantity
    pictures = [
        picture
        for curve in CURVES.get(quantity, ())
        if (picture := _drawn(curve, by_arm, suffix)) is not None
    ]
    return pictures + ([*_exits(by_arm)] if quantity == "anytime" else [])


def landscapes(by_arm: ByArm, arms: Sequence[str], suffix: str = "") -> list[Picture]:
    """The 2-D slices of some arms beside each other, each the mean over its runs."""
    maps, radii = {}, None
    for arm in arms:
        planes = [
            a.arrays["plane_scaled_loss"].values
            for a in by_arm.get(arm, ())
            if "plane_scaled_loss" in a.arrays and "plane_radii" in a.arrays
        ]
        if not planes or len({p.shape for p in planes}) > 1 or min(planes[0].shape) < 2:
            return []
        maps[arm] = np.stack(planes).mean(axis=0).T
        radii = by_arm[arm][0].arrays["plane_radii"].values
    if radii is None or any(
        len(radii) != m.shape[0] or not np.isfinite(m).all() for m in maps.values()
    ):
        return []
    rows = {arm: m.tolist() for arm, m in maps.items()}
    figure = landscapes_figure(rows, radii.tolist(), "scaled cross-entropy (nats)")
    ends = "; ".join(f"{arm} {m.min():.3g} to {m.max():.3g} nats" for arm, m in maps.items())
    words = f"Mean over runs, on the same axes; flatter is better. From lowest to highest: {ends}."
    return [Picture(figure, f"Loss around the weights, 2-D slice{suffix}", words)]


def _drawn(curve: Curve, by_arm: ByArm, suffix: str) -> Picture | None:
    runs = {}
    for arm, analyses in by_arm.items():
        rows = [
            _along(a.arrays[curve.array], curve.axis) for a in analyses if curve.array in a.arrays
        ]
        found = [row for row in rows if row is not None and np.isfinite(row).any()]
        if not found or len({len(row) for row in found}) > 1 or len(found[0]) < 2:
            continue
        x = analyses[0].places(curve.axis, len(found[0]))
        runs[arm] = (x, [(curve.factor * row).tolist() for row in found])
    if not runs or len({tuple(x) for x, _ in runs.values()}) > 1:
        return None
    figure = band_figure(runs, curve.x, curve.y, log=curve.log)
    words = "; ".join(f"{arm} {_ends(ys)}" for arm, (_, ys) in runs.items())
    good = f", {curve.good}" if curve.good else ""
    text = f"Mean over runs{good}; from first to last: {words}."
    return Picture(figure, f"{curve.title}{suffix}", text)


def _exits(by_arm: ByArm) -> list[Picture]:
    """Early exit: accuracy over the mean number of timesteps, of arms' means over runs."""
    runs = {}
    for arm, analyses in by_arm.items():
        pairs = [
            (a.arrays["exit_steps"].values, a.arrays["exit_accuracy"].values)
            for a in analyses
            if {"exit_steps", "exit_accuracy"} <= a.arrays.keys()
        ]
        if pairs and len({len(steps) for steps, _ in pairs}) == 1 and len(pairs[0][0]) > 1:
            x = np.stack([steps for steps, _ in pairs]).mean(axis=0)
            runs[arm] = (x.tolist(), [(100 * accuracy).tolist() for _, accuracy in pairs])
    if not runs:
        return []
    figure = band_figure(runs, "timesteps used, mean", "accuracy in %")
    words = "; ".join(
        f"{arm} {float(np.mean([y[-1] for y in ys])):.1f}% in {x[-1]:.2f} timesteps"
        for arm, (x, ys) in runs.items()
    )
    said = f"Each sample leaves once it is sure enough; up and left is better. Surest: {words}."
    return [Picture(figure, "Early exit", said)]


def _along(array: Array, axis: str) -> NDArray[np.float64] | None:
    """The array along one axis, others averaged over; None where it has others still."""
    if axis not in array.axes or any(a not in (axis, *_AVERAGED) for a in array.axes):
        return None
    values = array.values
    for place in reversed(range(values.ndim)):
        if array.axes[place] != axis:
            there = np.isfinite(values)
            total = np.where(there, values, 0.0).sum(axis=place)
            counts = there.sum(axis=place)
            values = np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
    return values


def _ends(ys: Sequence[Sequence[float]]) -> str:
    first, last = (
        np.nanmean([y[end] for y in ys]) if any(np.isfinite(y[end]) for y in ys) else np.nan
        for end in (0, -1)
    )
    return f"{first:.3g} to {last:.3g}"
