"""Columns of results.csv that come from a run's analyses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tempreg.report.analyses import centroids, read_analyses

_OF_SPIKES = {
    "firing_rate": ("rate", False),
    "synaptic_operations": ("operations", True),
    "energy_nj": ("energy", True),
}
"""Columns: the array of a spikes analysis, and whether it is summed rather than averaged."""


def analysis_columns(run: Path) -> dict[str, float]:
    """Single numbers of a run's analyses, as FILE_NAME, and those that claims are about.

    gradient_decay: the gradient's factor a timestep, mean over layers; of per-step
        cross-entropy for every arm (gradients-step), else of what was analysed (gradients).
    noise_accuracy_drop: accuracy minus accuracy under weight noise, mean over its strengths.
    firing_rate, synaptic_operations, energy_nj: of spikes, the first the mean over layers and
        timesteps, the others a sample's sum over both.
    fisher_centroid_first, fisher_centroid_end: after epoch 1 and the last measured one.
    """
    analyses = read_analyses(run)
    found = {
        f"{stem.replace('-', '_')}_{name}": value
        for stem, analysis in analyses.items()
        for name, value in analysis.numbers.items()
    }
    gradients = analyses.get("gradients-step", analyses.get("gradients"))
    flatness = analyses.get("flatness")
    if gradients and "decay" in gradients.arrays:
        decay = gradients.arrays["decay"].values
        if (measured := decay[np.isfinite(decay)]).size:
            found["gradient_decay"] = float(measured.mean())
    if flatness and "noise_accuracy" in flatness.arrays and "accuracy" in flatness.numbers:
        noisy = float(flatness.arrays["noise_accuracy"].values.mean())
        found["noise_accuracy_drop"] = flatness.numbers["accuracy"] - noisy
    spikes = next((a for a in analyses.values() if a.quantity == "spikes"), None)
    if spikes:
        for name, (array, total) in _OF_SPIKES.items():
            if array in spikes.arrays:
                values = spikes.arrays[array].values
                found[name] = float(values.sum() if total else values.mean())
    if followed := centroids(run):
        found["fisher_centroid_end"] = followed[max(followed)]
        if 1 in followed:
            found["fisher_centroid_first"] = followed[1]
    return {name: value for name, value in found.items() if np.isfinite(value)}
