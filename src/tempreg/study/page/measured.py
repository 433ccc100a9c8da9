"""The parts of a study's report that set the arms' accuracies, curves and costs side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isnan, nan

import numpy as np

from tempreg.report.analyses import (
    spoken,
)
from tempreg.report.page import Picture, Section, Table
from tempreg.report.reading import read_metrics
from tempreg.report.study_figures import MOST_BANDS, band_figure, dots_figure
from tempreg.study.page.outcome import outcome
from tempreg.study.page.regime import changes_since_best, overfitted
from tempreg.study.page.words import DASH, NOT_MEASURED
from tempreg.study.results import StudyData
from tempreg.study.statistics.comparison import accuracy_margin
from tempreg.study.statistics.items import OF_NUMBERS
from tempreg.study.statistics.paired import mean_sd
from tempreg.training.run_directory import RunDirectory

FIRST = "after the first timestep"

_FRACTIONS = re.compile(r"accuracy|(^|_)r2(_|$)|generalization_gap|_rate$|relative_drop$")


def _score(study: StudyData) -> tuple[str, str]:
    """What the runs are scored by, in columns and in words: accuracy, or R² of numbers."""
    return ("r2", "R²") if OF_NUMBERS in columns(study) else ("accuracy", "accuracy")


def timesteps_section(study: StudyData) -> Section:
    """Test accuracy, or R², by how many timesteps were used."""
    stem, name = _score(study)
    title = f"{name[:1].upper()}{name[1:]} by timestep"
    found = [re.fullmatch(rf"{stem}_t(\d{{1,6}})", column) for column in columns(study)]
    steps = sorted(int(match[1]) for match in found if match)
    if not steps:
        return Section(title, [NOT_MEASURED])
    runs, rows = {}, []
    for arm in study.arms:
        pairs = [_mean_sd(study, arm.name, f"{stem}_t{t}") for t in steps]
        measured = [
            [100 * run.values.get(f"{stem}_t{t}", nan) for t in steps]
            for run in study.finished(arm.name).values()
        ]
        if measured:
            runs[arm.name] = ([float(t) for t in steps], measured)
        shown = (_shown(f"{stem}_t{t}", pair) for t, pair in zip(steps, pairs, strict=True))
        rows.append([arm.name, *shown])
    words = "; ".join(f"{row[0]} {row[1]} to {row[-1]}" for row in rows if row[1] != DASH)
    figure = band_figure(runs, "timesteps used", f"test {name} in %")
    way = "Dots are runs, bands ± sd" if len(runs) <= MOST_BANDS else "Means over runs"
    said = f"{way}. First to last timestep, in %, mean ± sd: {words}."
    picture = Picture(figure, f"Test {name} by timestep", said)
    head = ["Arm", *(f"t = {t}" for t in steps)]
    table = Table(f"Test {name} in %, mean ± sd over runs", head, rows, _after_first(head))
    text = (
        f"Measured: test {name} where a network is stopped after so many timesteps; higher is "
        f"better. {outcome(study, f'{stem}_t{steps[0]}', f'{name} {FIRST}', points=True)}"
    )
    return Section(title, [text], [table], [picture])


def splits_section(study: StudyData) -> Section:
    """Training, validation and test accuracy, the gap, and the best epoch by validation."""
    stem, called = _score(study)
    wanted = [
        f"train_{stem}",
        f"val_{stem}",
        f"test_{stem}",
        "generalization_gap",
        "best_val_epoch",
        f"best_val_{stem}",
        f"test_{stem}_at_best_val",
        f"test_mean_{stem}_over_steps_at_best_val",
    ]
    title = "Training, validation and test"
    table = means_table(study, wanted, "Last epoch, and beside it the best epoch by validation")
    if table is None:
        return Section(title, [NOT_MEASURED])
    arms = [arm.name for arm in study.arms]
    shown, spread, single = {}, {}, {}
    for column in wanted[:3]:
        name, pairs = column.removesuffix(f"_{stem}"), [_mean_sd(study, a, column) for a in arms]
        shown[name] = [100 * mean for mean, _ in pairs]
        spread[name] = [100 * sd for _, sd in pairs]
        single[name] = [[100 * v for v in study.values(arm, column).values()] for arm in arms]
    words = "; ".join(
        f"{arm} {_shown('generalization_gap', _mean_sd(study, arm, 'generalization_gap'))}"
        for arm in arms
    )
    figure = dots_figure(shown, arms, f"{called} in %", spread, single)
    picture = Picture(
        figure,
        f"{called[:1].upper()}{called[1:]} by split",
        f"Mean ± sd over runs, and runs as dots. Training minus test, points: {words}.",
    )
    gap = outcome(study, "generalization_gap", "the gap from training to test", points=True)
    text = (
        f"Measured: {called} on what was trained on and on what wasn't; a smaller gap is less "
        f"overfitting. {gap} The test split was read after training; no epoch was chosen on it."
    )
    return Section(title, [text], [table], [picture])


def curves_section(study: StudyData) -> Section:
    """Accuracy by epoch, of an arm's runs."""
    stem, called = _score(study)
    by_split: dict[str, dict[str, list[dict[int, float]]]] = {}
    for arm in study.arms:
        for run in study.finished(arm.name).values():
            if run.folder is None or not (path := RunDirectory(run.folder).metrics).is_file():
                continue
            curves: dict[str, dict[int, float]] = {}
            for line in read_metrics(path):
                if isinstance(value := line.get(stem), (int, float)):
                    curves.setdefault(line["split"], {})[line["epoch"]] = 100 * value
            for split, curve in curves.items():
                by_split.setdefault(split, {}).setdefault(arm.name, []).append(curve)
    pictures = []
    for split, arms in by_split.items():
        runs = {}
        for name, found in arms.items():
            epochs = sorted({epoch for curve in found for epoch in curve})
            rows = [[curve.get(epoch, nan) for epoch in epochs] for curve in found]
            runs[name] = ([float(epoch) for epoch in epochs], rows)
        ends = {name: np.nanmean([row[-1] for row in rows]) for name, (_, rows) in runs.items()}
        words = "; ".join(f"{name} {end:.2f}" for name, end in ends.items())
        pictures.append(
            Picture(
                band_figure(runs, "epoch", f"{called} in %"),
                f"{split.capitalize()} {called} by epoch",
                f"Mean over runs; after the last epoch, in %: {words}.",
            )
        )
    if not pictures:
        return Section("Training curves", [NOT_MEASURED])
    worse = overfitted(study)
    text = (
        f"Measured: {called} after each epoch; higher is better, and validation that falls while "
        "training rises is overfitting. "
        + (f"Shown to overfit: {', '.join(worse)}." if worse else _none(study))
    )
    return Section("Training curves", [text], pictures=pictures)


def _none(study: StudyData) -> str:
    margin = f"{100 * accuracy_margin(study):g} points"
    return f"No arm is shown to overfit by {margin}." if changes_since_best(study) else ""


def costs_section(study: StudyData) -> Section:
    """Time and memory."""
    table = means_table(study, ["seconds", "peak_memory_mb"], "Of a run: mean ± sd")
    text = "Seconds of training, and the most memory held, in MiB. Runs that share a machine's "
    text += "cores slow each other down, so these say little of differences between arms."
    if table is None:
        return Section("Time and memory", [NOT_MEASURED])
    return Section("Time and memory", [text], [table])


def columns(study: StudyData) -> list[str]:
    """Every column of which a run has a number, in the file's order."""
    return list(dict.fromkeys(name for run in study.runs for name in run.values))


def means_table(study: StudyData, wanted: Iterable[str], caption: str) -> Table | None:
    """Some columns of results.csv by arm; None where none was measured."""
    there = columns(study)
    shown = [column for column in wanted if column in there]
    if not shown:
        return None
    rows = [
        [arm.name, *(_shown(c, _mean_sd(study, arm.name, c)) for c in shown)] for arm in study.arms
    ]
    head = ["Arm", *(spoken(c) + (", %" if _FRACTIONS.search(c) else "") for c in shown)]
    return Table(caption, head, rows, _after_first(head))


def _mean_sd(study: StudyData, arm: str, column: str) -> tuple[float, float]:
    values = list(study.values(arm, column).values())
    return mean_sd(values) if values else (nan, nan)


def _shown(column: str, pair: tuple[float, float]) -> str:
    if isnan(pair[0]):
        return DASH
    if _FRACTIONS.search(column):
        mean, sd = (f"{100 * value:.2f}" for value in pair)
    else:
        mean, sd = (f"{value:.4g}" for value in pair)
    return mean if isnan(pair[1]) else f"{mean} ± {sd}"


def _after_first(head: list[str]) -> frozenset[int]:
    return frozenset(range(1, len(head)))
