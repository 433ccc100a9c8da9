"""The parts of a study's report that set the arms' other figures side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isnan, nan

import numpy as np

from tempreg.report.analyses import Analysis, centroids, read_analyses, side_by_side, spoken
from tempreg.report.page import Picture, Section, Table
from tempreg.report.reading import read_metrics
from tempreg.report.study_figures import dots_figure, lines_figure
from tempreg.study.results import StudyData
from tempreg.study.sections import DASH, NOT_MEASURED
from tempreg.study.statistics import mean_sd

QUANTITIES = {
    "Temporal gradients": ("gradients", ("gradient_",)),
    "Fisher information": ("fisher", ("fisher_",)),
    "Flatness": ("flatness", ("flatness_", "noise_", "sharpness")),
    "Spikes and energy": ("spikes", ("spike", "firing_", "energy_", "synaptic_")),
    "Anytime behaviour": ("anytime", ("anytime_",)),
}
"""Sections: the analysis whose files they show, and the beginnings of their columns."""

_FRACTIONS = re.compile(r"accuracy|generalization_gap|_rate$")


def timesteps_section(study: StudyData) -> Section:
    """Test accuracy by how many timesteps were used."""
    steps = sorted(int(c[10:]) for c in columns(study) if re.fullmatch(r"accuracy_t\d{1,6}", c))
    if not steps:
        return Section("Accuracy by timestep", [NOT_MEASURED])
    series, spread, rows = {}, {}, []
    for arm in study.arms:
        pairs = [_mean_sd(study, arm.name, f"accuracy_t{t}") for t in steps]
        series[arm.name] = ([float(t) for t in steps], [100 * mean for mean, _ in pairs])
        spread[arm.name] = [100 * sd for _, sd in pairs]
        rows.append(
            [
                arm.name,
                *(_shown(f"accuracy_t{t}", pair) for t, pair in zip(steps, pairs, strict=True)),
            ]
        )
    words = "; ".join(
        f"{arm} from {y[0]:.2f} to {y[-1]:.2f}" for arm, (_, y) in series.items() if not isnan(y[0])
    )
    figure = lines_figure(series, "timesteps used", "test accuracy in %", spread=spread)
    picture = Picture(figure, "Test accuracy by timestep", f"Mean ± sd over runs, in %: {words}.")
    head = ["Arm", *(f"t = {t}" for t in steps)]
    table = Table("Test accuracy in %, mean ± sd over runs", head, rows, _after_first(head))
    return Section("Accuracy by timestep", [], [table], [picture])


def splits_section(study: StudyData) -> Section:
    """Training, validation and test accuracy, the gap, and the best epoch by validation."""
    wanted = [
        "train_accuracy", "val_accuracy", "test_accuracy", "generalization_gap",
        "best_val_epoch", "best_val_accuracy", "test_accuracy_at_best_val",
        "test_mean_accuracy_over_steps_at_best_val",
    ]  # fmt: skip
    title = "Training, validation and test"
    table = _table(study, wanted, "Last epoch, and beside it the best epoch by validation")
    if table is None:
        return Section(title, [NOT_MEASURED])
    arms = [arm.name for arm in study.arms]
    shown, spread = {}, {}
    for column in wanted[:3]:
        pairs = [_mean_sd(study, arm, column) for arm in arms]
        shown[column.removesuffix("_accuracy")] = [100 * mean for mean, _ in pairs]
        spread[column.removesuffix("_accuracy")] = [100 * sd for _, sd in pairs]
    words = "; ".join(
        f"{arm} {_shown('generalization_gap', _mean_sd(study, arm, 'generalization_gap'))}"
        for arm in arms
    )
    figure = dots_figure(shown, arms, "accuracy in %", spread)
    picture = Picture(
        figure, "Accuracy by split", f"Mean ± sd over runs. Training minus test, points: {words}."
    )
    text = "The test split was read after training; no epoch was chosen on it."
    return Section(title, [text], [table], [picture])


def curves_section(study: StudyData) -> Section:
    """Accuracy by epoch, the mean over an arm's runs."""
    by_split: dict[str, dict[str, dict[int, list[float]]]] = {}
    for arm in study.arms:
        for run in study.finished(arm.name).values():
            if run.folder is None or not (path := run.folder / "metrics.jsonl").is_file():
                continue
            for line in read_metrics(path):
                if isinstance(value := line.get("accuracy"), (int, float)):
                    epochs = by_split.setdefault(line["split"], {}).setdefault(arm.name, {})
                    epochs.setdefault(line["epoch"], []).append(100 * value)
    pictures = []
    for split, arms in by_split.items():
        series = {
            arm: ([float(e) for e in epochs], [float(np.mean(v)) for v in epochs.values()])
            for arm, epochs in arms.items()
        }
        words = "; ".join(f"{arm} {y[-1]:.2f}" for arm, (_, y) in series.items())
        pictures.append(
            Picture(
                lines_figure(series, "epoch", "accuracy in %"),
                f"{split.capitalize()} accuracy by epoch",
                f"Mean over runs; after the last epoch, in %: {words}.",
            )
        )
    return Section("Training curves", [] if pictures else [NOT_MEASURED], pictures=pictures)


def quantity_sections(study: StudyData) -> list[Section]:
    """A section an analysis, those that weren't made included; then what belongs to none."""
    found = _analyses(study)
    sections = []
    for title, (quantity, beginnings) in QUANTITIES.items():
        table = _table(
            study, [c for c in columns(study) if c.startswith(beginnings)], "Mean ± sd over runs"
        )
        pictures = []
        for stem in [stem for stem, (kind, _) in found.items() if kind == quantity]:
            pictures += side_by_side(stem, found.pop(stem)[1])
        if quantity == "fisher":
            pictures += _centroid_pictures(study)
        text = [] if table or pictures else [NOT_MEASURED]
        sections.append(Section(title, text, [table] if table else [], pictures))
    for stem, (_, by_arm) in found.items():
        if pictures := side_by_side(stem, by_arm):
            sections.append(Section(spoken(stem), pictures=pictures))
    return sections


def costs_section(study: StudyData) -> Section:
    """Time and memory."""
    table = _table(study, ["seconds", "peak_memory_mb"], "Of a run: mean ± sd")
    text = "Seconds of training, and the most memory held, in MiB. Runs that share a machine's "
    text += "cores slow each other down, so these say little of differences between arms."
    if table is None:
        return Section("Time and memory", [NOT_MEASURED])
    return Section("Time and memory", [text], [table])


def others_section(study: StudyData) -> Section | None:
    """Every column that no other section shows."""
    taken = tuple(b for _, beginnings in QUANTITIES.values() for b in beginnings)
    known = re.compile(
        r"accuracy_t\d+|(train|val|test)_accuracy|generalization_gap|best_val_.*|.*_at_best_val"
        r"|seconds|peak_memory_mb|mean_accuracy_over_steps|epochs|kept_epoch"
    )
    rest = [c for c in columns(study) if not c.startswith(taken) and not known.fullmatch(c)]
    table = _table(study, rest, "Mean ± sd over runs")
    return Section("Other figures", [], [table]) if table else None


def columns(study: StudyData) -> list[str]:
    """Every column of which a run has a number, in the file's order."""
    return list(dict.fromkeys(name for run in study.runs for name in run.values))


def _centroid_pictures(study: StudyData) -> list[Picture]:
    series = {}
    for arm in study.arms:
        by_epoch: dict[int, list[float]] = {}
        for run in study.finished(arm.name).values():
            if run.folder is not None:
                for epoch, value in centroids(run.folder).items():
                    by_epoch.setdefault(epoch, []).append(value)
        if by_epoch:
            means = [float(np.mean(values)) for values in by_epoch.values()]
            series[arm.name] = ([float(epoch) for epoch in by_epoch], means)
    if not series:
        return []
    words = "; ".join(f"{arm} from {y[0]:.3f} to {y[-1]:.3f}" for arm, (_, y) in series.items())
    figure = lines_figure(series, "epoch", "centroid in timesteps")
    text = f"Mean over runs, first to last epoch: {words}."
    return [Picture(figure, "Information centroid over training", text)]


def _analyses(study: StudyData) -> dict[str, tuple[str, dict[str, list[Analysis]]]]:
    """By the files' names: their quantity, and each arm's runs."""
    found: dict[str, tuple[str, dict[str, list[Analysis]]]] = {}
    for arm in study.arms:
        for run in study.finished(arm.name).values():
            if run.folder is None:
                continue
            for stem, analysis in read_analyses(run.folder).items():
                by_arm = found.setdefault(stem, (analysis.quantity, {}))[1]
                by_arm.setdefault(arm.name, []).append(analysis)
    return found


def _table(study: StudyData, wanted: Iterable[str], caption: str) -> Table | None:
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
