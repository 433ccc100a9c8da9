"""Results of analyses as their files describe themselves: named arrays with axes and units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tempreg.report.arrays import shaped
from tempreg.report.reading import ReportError, read_json, read_json_lines

OVER_TRAINING = "fisher_over_training.jsonl"


@final
@dataclass(frozen=True)
class Array:
    """A measured array and the names of its axes."""

    values: NDArray[np.float64]
    axes: tuple[str, ...]
    unit: str


@final
@dataclass(frozen=True)
class Analysis:
    """What `analysis/QUANTITY.json` holds.

    Attributes:
        numbers: its single numbers by name.
        words: its lists of strings, as the names of layers.
    """

    quantity: str
    arrays: dict[str, Array]
    numbers: dict[str, float]
    words: dict[str, list[str]]
    settings: dict[str, Any]

    def places(self, axis: str, size: int) -> list[float]:
        """Where the entries along an axis lie: the array named after it, else 1, 2, ..."""
        for name in plurals(axis):
            if name in self.arrays and self.arrays[name].values.shape == (size,):
                return [float(value) for value in self.arrays[name].values]
        return [float(i) for i in range(1, size + 1)]


def read_analysis(path: Path) -> Analysis:
    """ReportError where the file isn't such a result."""
    content = read_json(path)
    described = content.get("arrays")
    quantity, settings = content.get("quantity"), content.get("settings")
    if not isinstance(described, dict) or not isinstance(quantity, str):
        raise ReportError(f"{path} is not the result of an analysis")
    arrays = {}
    try:
        for name, about in described.items():
            axes = tuple(str(axis) for axis in about["axes"])
            values = shaped(content[name], len(axes), about)
            arrays[name] = Array(values, axes, str(about.get("unit", "")))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ReportError(f"{path} is damaged: {name}: {error}") from None
    rest = {k: v for k, v in content.items() if k not in described and k != "version"}
    return Analysis(
        quantity,
        arrays,
        {k: float(v) for k, v in rest.items() if type(v) in (int, float)},
        {k: [str(word) for word in v] for k, v in rest.items() if isinstance(v, list)},
        settings if isinstance(settings, dict) else {},
    )


def read_analyses(run: Path) -> dict[str, Analysis]:
    """All of a run's analyses by their files' names, those of single epochs left out."""
    paths = sorted((run / "analysis").glob("*.json"))
    return {p.stem: read_analysis(p) for p in paths if not re.search(r"-epoch-\d+$", p.stem)}


def centroids(run: Path) -> dict[int, float]:
    """The information centroid by epoch, where Fisher information was followed in training."""
    path = run / "analysis" / OVER_TRAINING
    if not path.is_file():
        return {}
    lines = read_json_lines(path)
    try:
        return {
            int(line["epoch"]): float(line["centroid"])
            for line in lines
            if line["centroid"] is not None
        }
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ReportError(f"{path} is damaged: expected an epoch and a centroid a line") from None


def fisher_by_epoch(run: Path, stem: str = "fisher") -> dict[int, Analysis]:
    """Fisher information by epoch, of a finished run's snapshots and of its kept weights.

    `stem` is the name of the analysis, as "fisher-batch". Only of epochs that were measured as the
    kept weights were; empty without a snapshot.
    """
    paths = sorted((run / "analysis").glob(f"{stem}-epoch-*.json"))
    kept = run / "analysis" / f"{stem}.json"
    if not paths or not kept.is_file():
        return {}
    read = [read_analysis(path) for path in (*paths, kept)]
    ways = [{k: v for k, v in a.settings.items() if k != "epoch"} for a in read]
    found = {
        int(a.settings["epoch"]): a
        for a, way in zip(read, ways, strict=True)
        if way == ways[-1] and "centroid" in a.numbers and type(a.settings.get("epoch")) is int
    }
    return dict(sorted(found.items()))


def spoken(name: str) -> str:
    """A field's name as words."""
    words = name.replace("_", " ").replace("-", ", ", 1).strip()
    return words[:1].upper() + words[1:]


def plurals(axis: str) -> tuple[str, ...]:
    """What a list along an axis may be called."""
    return (axis, f"{axis}s", f"{axis.removesuffix('us')}i")
