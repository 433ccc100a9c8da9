"""The part of a run's page that says when the network answers."""

from __future__ import annotations

from pathlib import Path

from tempreg.analysis.exits import NEVER
from tempreg.analysis.figures.exits import exits_figure
from tempreg.report.page import Picture, Section, Table
from tempreg.runs.calibrate import calibration_of, curve_of

_OF = {
    "confidence": "its largest probability",
    "entropy": "1 less its normalised entropy",
    "gap": "its largest probability less the second largest",
}


def early_section(folder: Path) -> Section | None:
    """What `tempreg calibrate` found; None where it wasn't run.

    Raises:
        RunDirectoryError: calibration.json is damaged.
    """
    found = calibration_of(folder)
    if found is None:
        return None
    steps = len(found.temperatures)
    if found.threshold == NEVER:
        said = (
            f"It answers after all {steps} timesteps: no threshold was shown to lose at most "
            f"{found.risk:.1%}, with {found.samples} samples."
        )
    else:
        said = (
            f"It answers as soon as {_OF[found.score]} is {found.threshold:.3g}: after "
            f"{found.mean_steps:.1f} of {steps} timesteps in the mean."
        )
    lost = (
        f"Of the {found.samples} samples that tested this, {found.lost:.1%} were right after all "
        f"timesteps and wrong when they were answered. Over calibrations like this one, at most "
        f"{found.delta:.0%} lose more than {found.risk:.1%}: a guarantee for samples like those, "
        "and for all of them together."
    )
    columns = zip(found.temperatures, found.least_probability, strict=True)
    rows = [[str(t), f"{a:.3g}", f"{b:.3g}"] for t, (a, b) in enumerate(columns, 1)]
    head = ["Timestep", "Temperature", "Least probability of a class in the prediction set"]
    tables = [Table("By timestep", head, rows)]
    return Section("Answering early", [said, lost], tables, _picture(folder))


def _picture(folder: Path) -> list[Picture]:
    """Accuracy against mean timesteps, with the exit marked; none in files of earlier versions."""
    found = curve_of(folder)
    if found is None:
        return []
    timesteps, accuracy = found.chosen
    figure = exits_figure(found.curve, {"calibrated": found.chosen})
    said = (
        "Of the samples that it was calibrated on, those that fitted temperatures among them. As "
        f"calibrated: {accuracy:.1%} right after {timesteps:.2f} timesteps in the mean; at most "
        f"{found.curve.timesteps[-1]:.2f} timesteps, {found.curve.accuracy[-1]:.1%}."
    )
    return [Picture(figure, "Accuracy against mean timesteps, over all thresholds", said)]
