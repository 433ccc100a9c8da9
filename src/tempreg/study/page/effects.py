"""The section on what each part of an objective does, at both endpoints."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

from tempreg.report.page import Section, Table
from tempreg.study.page.words import DASH, plain, points, span
from tempreg.study.results import StudyData, training_overlap
from tempreg.study.statistics.comparison import accuracy_margin
from tempreg.study.statistics.effects import Effect, effects
from tempreg.study.statistics.paired import holm
from tempreg.study.statistics.reading import read_difference, within

PRIMARY = {
    "test_accuracy": "Last timestep, points",
    "mean_accuracy_over_steps": "Mean over timesteps, points",
}
"""The two endpoints, which p-values are adjusted over together with the parts."""
OTHERS = {
    "accuracy_t1": "First timestep, points",
    "train_accuracy": "Training, points",
    "generalization_gap": "Gap, points",
    "peak_minus_last": "Fall from the peak, points",
    "test_nll": "Test loss at a fitted temperature",
    "weight_norm": "‖w‖",
}


def effects_section(study: StudyData) -> Section | None:
    """Main effects of the parts that the study tells apart; None where it has no such arms."""
    found = {column: effects(study, column) for column in PRIMARY}
    if not any(found.values()):
        return None
    margin = accuracy_margin(study)
    p_values = [effect.test.p for column in PRIMARY for effect in found[column]]
    adjusted = iter(holm(p_values))
    readings = {
        column: [_cell(effect, margin, next(adjusted)) for effect in found[column]]
        for column in PRIMARY
    }
    parts = [effect.part.name for effect in found["test_accuracy"]]
    cells = [str(len(effect.pairs)) for effect in found["test_accuracy"]]
    rows = [
        [part, count, *row]
        for part, count, *row in zip(parts, cells, *readings.values(), strict=True)
    ]
    texts = [
        "A part's effect is the mean over all pairs of arms that differ in it alone, run by run. "
        f"p is adjusted over {len(p_values)} tests (Holm): these parts at both endpoints.",
    ]
    if training_overlap(study):
        texts.append(
            "In brackets first the interval that allows for training sets that overlap, which "
            "decides; then the plain one, which speaks of these recordings and other seeds."
        )
    tables = [
        Table("What each part does", ["Part", "Pairs", *PRIMARY.values()], rows),
        _others(study),
    ]
    return Section("What each part does", texts, tables)


def _cell(effect: Effect, margin: float, p: float) -> str:
    test = effect.test
    equal = within(effect.differences, margin, test.overlap)
    read = read_difference(test, equal, margin, p=p)
    return f"{read}: {_shown(effect, points)}" + ("" if isnan(p) else f", p {p:.2g}")


def _shown(effect: Effect, show: Callable[[float], str]) -> str:
    test, uncorrected = effect.test, effect.plain
    said = f"{show(test.mean)} ({span(test.low, test.high, show)}"
    if test.overlap:
        said += f"; {span(uncorrected.low, uncorrected.high, show)}"
    return said + ")"


def _others(study: StudyData) -> Table:
    columns = {name: effects(study, name) for name in OTHERS}
    columns = {name: found for name, found in columns.items() if found}
    names = list(dict.fromkeys(e.part.name for found in columns.values() for e in found))
    rows = []
    for name in names:
        row = [name]
        for column, found in columns.items():
            effect = next((e for e in found if e.part.name == name), None)
            show = points if OTHERS[column].endswith("points") else plain
            row.append(DASH if effect is None else _shown(effect, show))
        rows.append(row)
    return Table("The same of other figures", ["Part", *(OTHERS[c] for c in columns)], rows)
