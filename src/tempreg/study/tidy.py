"""curves.csv: every curve of a study, a row a number.

arm, replicate, seed    whose
quantity                "train accuracy" of metrics.jsonl, "test accuracy" by timestep, or the file
                        and array of an analysis, as "spikes rate"
epoch, timestep, layer  where it was measured; empty where it has none
axis, place             of analyses that have another axis: "sigma", 0.1
value                   the mean over draws of noise; what was not measured has no row, and neither
                        have rasters and maps of two and more other axes
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tempreg.files import replacing
from tempreg.report.analyses import Array, read_analysis
from tempreg.report.reading import numbers, read_json, read_metrics
from tempreg.report.tidy import Row, entries
from tempreg.study.files import CURVES
from tempreg.study.results import ReportedRun, StudyData
from tempreg.training.run_directory import RunDirectory

_WHERE = ("epoch", "timestep", "layer", "axis", "place")
COLUMNS = ("arm", "replicate", "seed", "quantity", *_WHERE, "value")

_OWN = {
    "epoch": "epoch",
    "timestep": "timestep",
    "layer": "layer",
    "weight": "layer",
    "weight layer": "layer",
}
"""Axes that have a column of their own."""


def write_curves(study: StudyData, folder: Path) -> Path | None:
    """Replace curves.csv of the finished runs whose folders are there; None where none is."""
    runs = [run for arm in study.arms for run in study.finished(arm.name).values()]
    there = [run for run in runs if run.folder is not None and run.folder.is_dir()]
    if not there:
        return None
    path = folder / CURVES
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for run in there:
            whose = {"arm": run.arm, "replicate": run.replicate, "seed": run.seed}
            writer.writerows(whose | row for row in _rows(run) if math.isfinite(row["value"]))
    return path


def _rows(run: ReportedRun) -> Iterator[Row]:
    assert run.folder is not None
    directory = RunDirectory(run.folder)
    if directory.metrics.is_file():
        for line in read_metrics(directory.metrics):
            for name, value in line.items():
                if name != "epoch" and type(value) in (int, float):
                    quantity = f"{line['split']} {name}"
                    yield {"quantity": quantity, "epoch": line["epoch"], "value": value}
    if directory.summary.is_file():
        summary = read_json(directory.summary)
        for name in ("accuracy", "r2", "mse"):
            for timestep, value in enumerate(numbers(summary.get(f"{name}_per_step")) or [], 1):
                yield {"quantity": f"test {name}", "timestep": timestep, "value": value}
    for path in sorted((run.folder / "analysis").glob("*.json")):
        yield from _analysed(path)


def _analysed(path: Path) -> Iterator[Row]:
    """Of one analysis; those of a single epoch say which in their file's name."""
    analysis = read_analysis(path)
    stem, _, snapshot = path.stem.partition("-epoch-")
    epoch = int(snapshot) if re.fullmatch(r"\d+", snapshot) else analysis.settings.get("epoch", "")
    arrays = {name: _over_draws(array) for name, array in analysis.arrays.items()}
    for entry in entries(replace(analysis, arrays=arrays)):
        at: dict[str, Any] = {k: v for k, v in entry.items() if k not in ("array", "value")}
        row: Row = {"quantity": f"{stem} {entry['array']}", "epoch": epoch}
        if "neuron" in at:
            continue  # single spikes, of a raster
        rest = {axis: place for axis, place in at.items() if axis not in _OWN}
        row |= {_OWN[axis]: place for axis, place in at.items() if axis in _OWN}
        if len(rest) > 1:
            continue
        for axis, place in rest.items():
            row |= {"axis": axis, "place": place}
        yield row | {"value": entry["value"]}


def _over_draws(array: Array) -> Array:
    """The mean over draws of noise, where it has any."""
    if "draw" not in array.axes:
        return array
    place = array.axes.index("draw")
    axes = tuple(axis for axis in array.axes if axis != "draw")
    return Array(array.values.mean(axis=place), axes, array.unit)
