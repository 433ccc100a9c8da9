"""The parts of a study's report on what was analysed of each run: a section a quantity."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import nan
from typing import final

import numpy as np

from tempreg.report.analyses import (
    Analysis,
    centroids,
    fisher_by_epoch,
    read_analyses,
    spoken,
)
from tempreg.report.page import Picture, Section
from tempreg.report.study_figures import band_figure
from tempreg.study.page.curves import curves_of, landscapes
from tempreg.study.page.how import how_measured
from tempreg.study.page.measured import columns, means_table
from tempreg.study.page.outcome import outcome
from tempreg.study.page.words import NOT_MEASURED
from tempreg.study.results import StudyData


@final
@dataclass(frozen=True)
class Quantity:
    """A section on an analysis.

    Attributes:
        title: of the section.
        kind: how the quantities of its analyses begin.
        beginnings: of its columns.
        measured: what is measured, and which way is good.
        column, words: by which it says what came out, and what that is; "" for none.
        only_made: whether a study that lacks the analysis has no section of it.
    """

    title: str
    kind: str
    beginnings: tuple[str, ...]
    measured: str
    column: str = ""
    words: str = ""
    only_made: bool = False


QUANTITIES = (
    Quantity(
        "Temporal gradients",
        "gradients",
        ("gradient_",),
        "Measured: how a loss' gradient changes on its way back through time. A factor a timestep "
        "of 1 keeps all of it; near 0 it vanishes",
        "gradient_decay",
        "the factor a timestep",
    ),
    Quantity(
        "Fisher information",
        "fisher",
        ("fisher_",),
        "Measured: how strongly the prediction depends on the weights, by timesteps used, and the "
        "centroid, around which timestep that lies. Neither way is better",
        "fisher_centroid_end",
        "the centroid at the end",
    ),
    Quantity(
        "Flatness",
        "flatness",
        ("flatness_", "noise_", "line_rise_", "sharpness"),
        "Measured: what is lost where weights are moved. Less is flatter, which is better",
        "noise_relative_drop",
        "the share of accuracy lost under weight noise",
    ),
    Quantity(
        "Spikes and energy",
        "spikes",
        ("spike", "firing_", "energy_", "synaptic_"),
        "Measured: how often neurons fire and what that costs. Less is better at equal accuracy",
        "firing_rate",
        "the mean firing rate",
    ),
    Quantity(
        "Anytime behaviour",
        "anytime",
        ("anytime_",),
        "Measured: accuracy and confidence where a network is stopped early. Higher accuracy and "
        "a lower calibration error are better",
    ),
    Quantity(
        "Answering early at equal risk",
        "exits",
        ("timesteps_at_risk", "lost_at_risk", "accuracy_at_risk"),
        "Measured: after how many timesteps a sample is answered in the mean, where the exit was "
        "calibrated on validation samples for each risk of losing a right answer. Fewer are better",
        "timesteps_at_risk_0.02",
        "the mean timesteps until an answer at a risk of 0.02",
        only_made=True,
    ),
)
"""Sections, each with the analyses and columns that it shows."""

WAYS = {
    "own": "",
    "step": "per-step loss",
    "held out": "held-out samples",
    "batch": "as published, by batches",
    "batch sampled": "as published, with sampled labels",
}
"""How files' names say that an analysis was made, in words."""

Found = dict[str, tuple[str, dict[str, list[Analysis]]]]
"""Analyses by their files' names: their quantity, and each arm's runs."""


def quantity_sections(study: StudyData) -> list[Section]:
    """A section an analysis, those that weren't made included; then what belongs to none."""
    found = _analyses(study)
    sections = []
    for quantity in QUANTITIES:
        made = any(kind.startswith(quantity.kind) for kind, _ in found.values())
        measured = any(c.startswith(quantity.beginnings) for c in columns(study))
        if made or measured or not quantity.only_made:
            sections.append(_quantity_section(study, quantity, found))
    for stem, (_, by_arm) in found.items():
        if pictures := _pictures(stem, by_arm, ""):
            sections.append(Section(spoken(stem), pictures=pictures))
    return sections


def _quantity_section(study: StudyData, q: Quantity, found: Found) -> Section:
    """What it shows is taken out of `found`."""
    there = [c for c in columns(study) if c.startswith(q.beginnings)]
    table = means_table(study, there, "Mean ± sd over runs")
    pictures, made = [], []
    for stem in [stem for stem, (kind, _) in found.items() if kind.startswith(q.kind)]:
        by_arm = found.pop(stem)[1]
        made += [analysis for runs in by_arm.values() for analysis in runs]
        pictures += _pictures(stem, by_arm, q.kind)
        pictures += landscapes(by_arm, _two(study, by_arm))
    if q.kind == "fisher":
        pictures += _centroid_pictures(study)
    if not table and not pictures:
        return Section(q.title, [NOT_MEASURED])
    said = outcome(study, q.column, q.words) if q.column in there else ""
    texts = [f"{q.measured}. {said}".strip(), *how_measured(study, q.kind, made)]
    return Section(q.title, texts, [table] if table else [], pictures)


def _pictures(stem: str, by_arm: dict[str, list[Analysis]], kind: str) -> list[Picture]:
    """The curves of an analysis; its file's name says how else it was made."""
    way = stem.removeprefix(kind).strip("-").replace("-", " ")
    way = WAYS.get(way, way)
    return curves_of(by_arm, f" ({way})" if way else "")


def _two(study: StudyData, by_arm: dict[str, list[Analysis]]) -> list[str]:
    """The reference and the arm that claims are about, or the next: what is set side by side."""
    names = [name for name in by_arm if name != study.reference]
    treated = "trt" if "trt" in names else next(iter(names), None)
    return [study.reference, *([treated] if treated else [])]


def _centroid_pictures(study: StudyData) -> list[Picture]:
    runs = {}
    for arm in study.arms:
        curves = []
        for run in study.finished(arm.name).values():
            if run.folder is not None:
                measured = fisher_by_epoch(run.folder)
                kept = {epoch: a.numbers["centroid"] for epoch, a in measured.items()}
                if curve := centroids(run.folder) or kept:
                    curves.append(curve)
        if epochs := sorted({epoch for curve in curves for epoch in curve}):
            rows = [[curve.get(epoch, nan) for epoch in epochs] for curve in curves]
            runs[arm.name] = ([float(epoch) for epoch in epochs], rows)
    if not runs:
        return []
    ends = {arm: np.nanmean(np.array(rows), axis=0)[[0, -1]] for arm, (_, rows) in runs.items()}
    words = "; ".join(f"{arm} from {a:.3f} to {b:.3f}" for arm, (a, b) in ends.items())
    figure = band_figure(runs, "epoch", "centroid in timesteps")
    text = f"Mean over runs, first to last epoch: {words}."
    return [Picture(figure, "Information centroid over training", text)]


def _analyses(study: StudyData) -> Found:
    """By the files' names: their quantity, and each arm's runs."""
    found: Found = {}
    for arm in study.arms:
        for run in study.finished(arm.name).values():
            if run.folder is None:
                continue
            for stem, analysis in read_analyses(run.folder).items():
                by_arm = found.setdefault(stem, (analysis.quantity, {}))[1]
                by_arm.setdefault(arm.name, []).append(analysis)
    return found


def others_section(study: StudyData) -> Section | None:
    """Every column that no other section shows."""
    taken = tuple(beginning for quantity in QUANTITIES for beginning in quantity.beginnings)
    known = re.compile(
        r"(accuracy|r2)_t\d+|(train|val|test)_(accuracy|r2)|generalization_gap|best_val_.*|.*_at_best_val"
        r"|seconds|peak_memory_mb|mean_(accuracy|r2)_over_steps|epochs|kept_epoch"
    )
    rest = [c for c in columns(study) if not c.startswith(taken) and not known.fullmatch(c)]
    table = means_table(study, rest, "Mean ± sd over runs")
    return Section("Other figures", [], [table]) if table else None
