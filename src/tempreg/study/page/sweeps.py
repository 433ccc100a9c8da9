"""Arms that differ in the values of settings alone, as lines and heat maps."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan
from typing import Any

from tempreg.report.page import Picture, Section
from tempreg.report.study_figures import band_figure, map_figure
from tempreg.study.results import ReportedArm, StudyData
from tempreg.study.statistics.comparison import endpoint
from tempreg.study.statistics.paired import mean_sd

MOST_TICKS = 6
"""Values that are written along an axis."""

Point = Mapping[str, float]
"""Values of the swept settings, by dotted name."""


def sweeps_section(study: StudyData) -> Section | None:
    """The endpoint over each sweep: a line for one setting, heat maps for more; None without."""
    pictures = []
    for name, points in sweeps(study.arms).items():
        axes = _axes(points)
        if len(axes) == 1:
            pictures.append(_line(study, name, axes[0], points))
        elif len(axes) > 1:
            pictures.extend(_maps(study, name, axes, points))
    if not pictures:
        return None
    text = (
        f"Measured: {endpoint(study).replace('_', ' ')}, in %, over settings of one objective; "
        f"higher is better. {_highest(study)}"
    )
    return Section("Sweeps", [text], pictures=pictures)


def sweeps(arms: list[ReportedArm]) -> dict[str, dict[str, Point]]:
    """Families of arms that change the same settings: by family, each arm's numbers.

    A family is what stands before the first "@" of its arms' names.
    """
    families: dict[str, dict[str, Point]] = {}
    for arm in arms:
        stem, at, _ = arm.name.partition("@")
        numbers = {k: float(v) for k, v in arm.changes.items() if _is_number(v)}
        if at and numbers:
            families.setdefault(stem, {})[arm.name] = numbers
    return {stem: points for stem, points in families.items() if len(points) > 1}


def _highest(study: StudyData) -> str:
    """The best point of each sweep, by its mean."""
    said = []
    for name, points in sweeps(study.arms).items():
        means = {arm: _mean(study, arm) for arm in points}
        measured = {arm: mean for arm, mean in means.items() if not isnan(mean)}
        if measured:
            best = max(measured, key=lambda arm: measured[arm])
            said.append(f"{name} is highest at {best.partition('@')[2]} ({measured[best]:.2f}%)")
    return f"{'; '.join(said)}." if said else ""


def _axes(points: Mapping[str, Point]) -> list[str]:
    """The settings that take several values, in the order of the arms' names."""
    names = dict.fromkeys(name for point in points.values() for name in point)
    return [n for n in names if len({point.get(n) for point in points.values()}) > 1]


def _line(study: StudyData, name: str, axis: str, points: Mapping[str, Point]) -> Picture:
    by_value = sorted((point[axis], arm) for arm, point in points.items())
    x = [value for value, _ in by_value]
    values = [study.values(arm, endpoint(study)) for _, arm in by_value]
    runs = [[100 * v.get(replicate, nan) for v in values] for replicate in study.replicates]
    figure = band_figure({name: (x, runs)}, _short(axis), "endpoint in %")
    if min(x) > 0 and max(x) >= 10 * min(x):
        figure.axes[0].set_xscale("log")
        every = -(-len(x) // MOST_TICKS)
        figure.axes[0].set_xticks(x[::every], [f"{value:g}" for value in x[::every]])
    words = "; ".join(f"{value:g}: {_mean(study, arm):.2f}" for value, arm in by_value)
    said = f"Dots are runs, the band ± sd. Mean over runs, in %: {words}."
    return Picture(figure, f"{name} over {_short(axis)}", said)


def _maps(
    study: StudyData, name: str, axes: list[str], points: Mapping[str, Point]
) -> list[Picture]:
    """A map of the first two settings for each combination of the others."""
    down, across, *rest = axes
    slices: dict[tuple[float, ...], dict[tuple[float, float], float]] = {}
    for arm, point in points.items():
        key = tuple(point[r] for r in rest)
        slices.setdefault(key, {})[point[down], point[across]] = _mean(study, arm)
    pictures = []
    for key, cells in slices.items():
        rows, columns = (sorted({place[i] for place in cells}) for i in (0, 1))
        values = [[cells.get((r, c), nan) for c in columns] for r in rows]
        figure = map_figure(
            values,
            [f"{r:g}" for r in rows],
            _short(across),
            "endpoint in %",
            columns=[f"{c:g}" for c in columns],
            y_label=_short(down),
        )
        fixed = "".join(f", {_short(r)} = {v:g}" for r, v in zip(rest, key, strict=True))
        words = "; ".join(f"{r:g}, {c:g}: {value:.2f}" for (r, c), value in cells.items())
        title = f"{name} over {_short(down)} and {_short(across)}{fixed}"
        pictures.append(Picture(figure, title, f"{_short(down)}, {_short(across)}: {words}."))
    return pictures


def _mean(study: StudyData, arm: str) -> float:
    values = list(study.values(arm, endpoint(study)).values())
    return 100 * mean_sd(values)[0] if values else nan


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _short(dotted: str) -> str:
    return dotted.removeprefix("objective.")
