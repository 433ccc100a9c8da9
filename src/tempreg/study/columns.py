"""Columns of results.csv that come from a run's analyses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tempreg.report.analyses import Analysis, centroids, fisher_by_epoch, read_analyses

_OF_SPIKES = {
    "firing_rate": ("rate", False),
    "synaptic_operations": ("operations", True),
    "energy_nj": ("energy", True),
}
"""Columns: the array of a spikes analysis, and whether it is summed rather than averaged."""

FISHERS = ("fisher", "fisher-batch", "fisher-batch-sampled")
"""By the exact estimator, and as published, with true and with sampled labels."""

RADII = (0.5, 1.0)
"""In filter norms, at which the rise of the scaled loss along a line is a column."""


def analysis_columns(run: Path) -> dict[str, float]:
    """Single numbers of a run's analyses, as FILE_NAME, and those that claims are about.

    gradient_decay: the gradient's factor a timestep, mean over layers; of per-step
        cross-entropy for every arm (gradients-step), else of what was analysed (gradients).
    gradient_first_last, gradient_first_last_epoch_1: of the arm's own objective, the gradient's
        norm at the first timestep over that at the last, geometric mean over layers; of the
        network that was tested, and after epoch 1.
    noise_accuracy_drop, noise_relative_drop: accuracy minus accuracy under weight noise, mean over
        its strengths; and its share of the accuracy without noise. On held-out samples where
        these were analysed.
    line_rise_at_R: the scaled loss at R filter norms along a line, mean of both sides, minus that
        of the network as it is.
    firing_rate, synaptic_operations, energy_nj: of spikes, the first the mean over layers and
        timesteps, the others a sample's sum over both.
    fisher_centroid_first, fisher_centroid_end: after epoch 1 and the last measured one; and
        fisher_batch_..., fisher_batch_sampled_... by the published estimator.
    timesteps_at_risk_R, lost_at_risk_R, accuracy_at_risk_R: of the exit that was calibrated at the
        risk R, on held-out samples, see `tempreg.analysis.EarlyExits`.
    fisher_shift_half_1, fisher_shift_half_2: the change of the centroid between them, measured on
        either half of the samples.
    """
    analyses = read_analyses(run)
    found = {
        f"{stem.replace('-', '_')}_{name}": value
        for stem, analysis in analyses.items()
        for name, value in analysis.numbers.items()
    }
    found |= _gradients(analyses) | _flatness(analyses) | _fisher(run) | _exits(analyses)
    spikes = next((a for a in analyses.values() if a.quantity == "spikes"), None)
    if spikes:
        for name, (array, total) in _OF_SPIKES.items():
            if array in spikes.arrays:
                values = spikes.arrays[array].values
                found[name] = float(values.sum() if total else values.mean())
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _gradients(analyses: Mapping[str, Analysis]) -> dict[str, float]:
    found = {}
    gradients = analyses.get("gradients-step", analyses.get("gradients"))
    if gradients and "decay" in gradients.arrays:
        decay = gradients.arrays["decay"].values
        if (measured := decay[np.isfinite(decay)]).size:
            found["gradient_decay"] = float(measured.mean())
    own = analyses.get("gradients-own")
    if own and {"epochs", "first_last"} <= own.arrays.keys():
        ratios = dict(
            zip(own.arrays["epochs"].values, own.arrays["first_last"].values, strict=True)
        )
        kept = own.settings.get("kept_epoch")
        for name, epoch in (("", kept), ("_epoch_1", 1)):
            if epoch in ratios:
                found[f"gradient_first_last{name}"] = float(ratios[epoch])
    return found


def _flatness(analyses: Mapping[str, Analysis]) -> dict[str, float]:
    found = {}
    flatness = analyses.get("flatness-held-out", analyses.get("flatness"))
    if not flatness or "accuracy" not in flatness.numbers:
        return {}
    accuracy = flatness.numbers["accuracy"]
    if "noise_accuracy" in flatness.arrays:
        noisy = float(flatness.arrays["noise_accuracy"].values.mean())
        found["noise_accuracy_drop"] = accuracy - noisy
        if accuracy > 0:
            found["noise_relative_drop"] = 1 - noisy / accuracy
    if "line_scaled_loss" in flatness.arrays and "scaled_loss" in flatness.numbers:
        line = flatness.arrays["line_scaled_loss"].values
        radii = np.abs(flatness.places("radius", len(line)))
        for radius in RADII:
            if (ends := np.isclose(radii, radius)).sum() == 2:
                rise = float(line[ends].mean()) - flatness.numbers["scaled_loss"]
                found[f"line_rise_at_{radius:g}"] = rise
    return found


def _exits(analyses: Mapping[str, Analysis]) -> dict[str, float]:
    exits = next((a for a in analyses.values() if a.quantity == "exits"), None)
    names = ("timesteps", "lost", "accuracy")
    if not exits or not {"risk", *names} <= exits.arrays.keys():
        return {}
    risks = exits.arrays["risk"].values
    return {
        f"{name}_at_risk_{risk:g}": float(value)
        for name in names
        for risk, value in zip(risks, exits.arrays[name].values, strict=True)
    }


def _fisher(run: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for stem in FISHERS:
        by_epoch, name = fisher_by_epoch(run, stem), stem.replace("-", "_")
        middles = {epoch: a.numbers["centroid"] for epoch, a in by_epoch.items()}
        if stem == "fisher":
            found |= _shifts_of_halves(by_epoch)
            middles = middles if 1 in middles else centroids(run)
        if middles:
            found[f"{name}_centroid_end"] = middles[max(middles)]
            if 1 in middles:
                found[f"{name}_centroid_first"] = middles[1]
    return found


def _shifts_of_halves(by_epoch: Mapping[int, Analysis]) -> dict[str, float]:
    """Of either half of the samples, which are the same at all epochs."""
    if 1 not in by_epoch:
        return {}
    first, end = (by_epoch[e].arrays.get("half_centroids") for e in (1, max(by_epoch)))
    if first is None or end is None:
        return {}
    shifts = end.values - first.values
    return {f"fisher_shift_half_{i}": float(shift) for i, shift in enumerate(shifts, 1)}
