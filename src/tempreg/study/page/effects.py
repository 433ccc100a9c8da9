"""The section on what each part of an objective does, at both endpoints."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import get_args

from tempreg.report.page import Section, Table
from tempreg.study.page.words import DASH, plain, points, span
from tempreg.study.results import StudyData, training_overlap
from tempreg.study.statistics.comparison import accuracy_margin
from tempreg.study.statistics.effects import Effect, effects
from tempreg.study.statistics.paired import holm
from tempreg.study.statistics.reading import Reading, read_difference, within

PRIMARY = {
    "test_accuracy": "Last timestep, points",
    "mean_accuracy_over_steps": "Mean over timesteps, points",
}
"""The two endpoints, which p-values are adjusted over together with the parts."""
_WORDS = {
    "test_accuracy": "after the last timestep",
    "mean_accuracy_over_steps": "averaged over timesteps",
}
OTHERS = {
    "accuracy_t1": "First timestep, points",
    "train_accuracy": "Training, points",
    "generalization_gap": "Gap, points",
    "peak_minus_last": "Fall from the peak, points",
    "test_nll": "Test loss at a fitted temperature",
    "weight_norm": "‖w‖",
}
_Judged = tuple[Effect, Reading, float]


def effects_section(study: StudyData) -> Section | None:
    """Main effects of the parts that the study tells apart; None where it has no such arms."""
    found = _judged(study)
    if not any(found.values()):
        return None
    cells = {column: {cell[0].part.name: cell for cell in of} for column, of in found.items()}
    parts = {name: len(cell[0].pairs) for of in cells.values() for name, cell in of.items()}
    rows = [
        [name, str(pairs), *(_cell(*of[name]) if name in of else DASH for of in cells.values())]
        for name, pairs in parts.items()
    ]
    texts = [
        "A part's effect is the mean over all pairs of arms that differ in it alone, run by run. "
        f"p is adjusted over {sum(map(len, found.values()))} tests (Holm): these parts at both "
        "endpoints.",
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


def effect_sentences(study: StudyData) -> list[str]:
    """What each part does, by its reading, a sentence an endpoint."""
    said, judged = [], _judged(study)
    tests = sum(map(len, judged.values()))
    for column, found in judged.items():
        if not found:
            continue
        readings = sorted({read for _, read, _ in found}, key=get_args(Reading).index)
        told = "; ".join(
            f"{reading}: "
            + ", ".join(
                f"{e.part.name} {points(e.test.mean)} ({span(e.test.low, e.test.high, points)})"
                for e, read, _ in found
                if read == reading
            )
            for reading in readings
        )
        said.append(
            f"What each part does to test accuracy {_WORDS[column]}, in points, p adjusted over "
            f"{tests} tests: {told}."
        )
    return said


def _judged(study: StudyData) -> dict[str, list[_Judged]]:
    """Every part's effect by endpoint, how it is read, and its p adjusted over all of them."""
    found = {column: effects(study, column) for column in PRIMARY}
    margin = accuracy_margin(study)
    adjusted = iter(holm([effect.test.p for column in PRIMARY for effect in found[column]]))
    return {
        column: [_judge(effect, margin, next(adjusted)) for effect in found[column]]
        for column in PRIMARY
    }


def _judge(effect: Effect, margin: float, p: float) -> _Judged:
    test = effect.test
    equal = within(effect.differences, margin, test.overlap)
    return effect, read_difference(test, equal, margin, p=p), p


def _cell(effect: Effect, read: Reading, p: float) -> str:
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
