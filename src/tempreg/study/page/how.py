"""How a study's analyses were made, in a sentence or two before their figures."""

from __future__ import annotations

from collections.abc import Iterable

from tempreg.report.analyses import Analysis
from tempreg.study.page.temporal import SET_BY_TAU, needs_time
from tempreg.study.results import StudyData

_SPLITS = {"test": "held-out", "validation": "validation", "train": "training"}


def how_measured(study: StudyData, quantity: str, runs: Iterable[Analysis]) -> list[str]:
    """Of the runs' results of one quantity; none where there are none."""
    found = list(runs)
    said = []
    if quantity == "gradients" and not needs_time(study) and found:
        said.append(
            f"Whether gradients vanish over time is not testable here: {SET_BY_TAU}, for nothing "
            "in this data has to be carried from one timestep to another."
        )
    if quantity == "flatness" and found:
        gains = sorted({bool(a.settings.get("gains")) for a in found})
        draws = _range(a.settings.get("draws") for a in found)
        kind = ", ".join(sorted({_SPLITS.get(str(a.settings.get("split")), "") for a in found}))
        samples = _range(a.settings.get("samples") for a in found)
        moved = "batch norm's gains stay" if gains == [False] else "so are batch norm's gains"
        moved += " in some runs" if len(gains) > 1 else ""
        said.append(
            f"On {samples} {kind} samples of each run, {draws} draws of noise at each strength. "
            f"Weights of two and more dimensions are moved; {moved}."
        )
    if quantity == "fisher" and found:
        samples = _range(a.settings.get("samples") for a in found)
        said.append(
            f"On {samples} samples of each run. The reliability is the correlation of two halves "
            "of the samples over timesteps, corrected to their whole number (Spearman-Brown); the "
            "halves' centroids lie so far apart. What is compared is an arm's change from epoch 1 "
            "to the end beside the reference's; batches, as published, are biased."
        )
    return said


def _range(values: Iterable[object]) -> str:
    numbers = sorted({v for v in values if isinstance(v, int)})
    if not numbers:
        return "?"
    low, high = numbers[0], numbers[-1]
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
