"""The parts of a study's report that are about its endpoint: claims, arms, results, limits."""

from __future__ import annotations

from math import isnan, sqrt
from typing import get_args

import numpy as np

from tempreg.report.page import Picture, Section, Table
from tempreg.report.study_figures import forest_figure
from tempreg.study.page.claims import Claim, Verdict
from tempreg.study.page.outcome import accuracy_sentences, endpoint_words
from tempreg.study.page.words import DASH, points, span
from tempreg.study.results import StudyData, training_overlap
from tempreg.study.statistics.comparison import Comparison, endpoint, equality_margin

_TOST = "p (TOST)"
"""The column with the p-value of two one-sided tests: of a difference as large as the margin."""
_ITS_CAPTION = f"; {_TOST} is"
"""Where a caption begins to speak of a column that its page has alone."""
_WIDE = ("95% over runs and items", _TOST)
"""Columns of the table of arms that its page has alone."""


def claims_section(made: list[Claim]) -> Section:
    """What the study says of each claim of the paper."""
    rows = [[c.text, c.said, c.detail] for c in made if c.verdict != "not measured"]
    left = [c.text for c in made if c.verdict == "not measured"]
    verdicts = [v for v in get_args(Verdict) if v != "not measured" or left]
    said = ", ".join(f"{v} {sum(c.verdict == v for c in made)}" for v in verdicts)
    texts = [
        f"{len(made)} claims that the paper (arXiv 2506.19256) makes of TRT, by this study's "
        f"numbers: {said}."
    ]
    if left:
        texts.append(f"Not measured: {'; '.join(left)}.")
    table = Table(
        "Each claim, as this study's numbers have it", ["Claim", "Verdict", "Measured"], rows
    )
    return Section("The paper's claims", texts, [table] if rows else [])


def arms_section(study: StudyData) -> Section:
    """In what the arms differ."""
    changes = [arm.changes | arm.chosen for arm in study.arms]
    names = list(dict.fromkeys(name for settings in changes for name in settings))
    rows = [
        [arm.name, *(str(settings.get(name, DASH)) for name in names)]
        for arm, settings in zip(study.arms, changes, strict=True)
    ]
    texts = [
        "Arms differ in these settings and in nothing else; each repetition draws its seed and "
        f"split once, for all of them. {study.reference} is the reference."
    ]
    if trials := study.facts.get("trials"):
        texts.append(
            f"Each arm that has a setting of its own tried {trials} values of it, on seeds and "
            f"splits of no repetition{_for_epochs(study)}, and kept the one with the best "
            "validation accuracy: "
            + "; ".join(
                f"{arm.name} {name} = {value}"
                for arm in study.arms
                for name, value in arm.chosen.items()
            )
            + "."
        )
    table = Table("Settings that an arm changes", ["Arm", *names], rows)
    return Section("What was compared", texts, [table])


def _for_epochs(study: StudyData) -> str:
    epochs = study.facts.get("trial_epochs")
    return "" if epochs is None else f", for {epochs} epoch{'s' * (epochs != 1)} each"


def results_table(study: StudyData, comparisons: list[Comparison]) -> Table:
    """Every arm's endpoint and its difference from the reference; accuracies in percent."""
    items = next((c.items for c in comparisons if c.items), None)
    head = [
        "Arm",
        "Runs",
        "Mean ± sd, %",
        "Difference, points",
        "95% over runs",
        "95% over runs and items",
        "p (Holm)",
        _TOST,
        "Reading",
    ]
    rows = []
    for c in comparisons:
        row = [c.arm, str(c.n), _spread(c.mean, c.sd)]
        if c.paired is None:
            row += [DASH] * 5
        else:
            over_items = _interval(c.items.low, c.items.high) if c.items else DASH
            row += [
                points(c.paired.mean),
                _interval(c.paired.low, c.paired.high),
                over_items,
                _p(c.p),
                _p(c.equal),
            ]
        rows.append([*row, c.verdict])
    kind = f"; runs and items resampled {items.resampled}" if items else ""
    caption = f"{endpoint_words(study)}; differences are paired, from {study.reference}{kind}"
    caption = caption[:1].upper() + caption[1:] + _ITS_CAPTION
    margin = f"{100 * equality_margin(study):g} points"
    caption += f" below 0.05 where the difference is shown to be smaller than {margin}, either way"
    return Table(caption, head, rows, frozenset(range(1, 8)), verdict=8)


def narrow(table: Table) -> Table:
    """The columns of `results_table` that a terminal has room for."""
    kept = [i for i, name in enumerate(table.head) if name not in _WIDE]
    rows = [[row[i] for i in kept] for row in (table.head, *table.rows)]
    numeric = frozenset(place for place, i in enumerate(kept) if i in table.numeric)
    verdict = None if table.verdict is None else kept.index(table.verdict)
    return Table(table.caption.partition(_ITS_CAPTION)[0], rows[0], rows[1:], numeric, verdict)


def results_section(study: StudyData, comparisons: list[Comparison]) -> Section:
    """The endpoint: table and forest plot."""
    margin = f"{100 * equality_margin(study):g}"
    texts = [
        f"Measured: {endpoint_words(study)}; higher is better. "
        + accuracy_sentences(study, comparisons, endpoint_words(study))[0],
        f"Where two one-sided t tests (TOST) reject a difference of {margin} points or more, "
        "p < 0.05, there is no relevant difference, whether it is zero or not. Otherwise an "
        "arm is called higher or lower where p < 0.05 after Holm's adjustment over the arms and it "
        f"differs by at least {margin} points; anything else the study leaves open.",
        "The interval over runs speaks of other seeds (and splits) on the same test items; that "
        "over runs and items also of other test items, by resampling both. It is never the "
        "narrower one, and where each run has test items of its own the two are the same.",
    ]
    if overlap := training_overlap(study):
        texts.append(
            "Runs are folds of one pool, so their training sets overlap and they are not "
            f"independent: variances over runs are raised by a factor of {_raised(study, overlap)}"
            " (Nadeau and Bengio 2003; Bouckaert and Frank 2004)."
        )
    tested = [c for c in comparisons if c.paired]
    pictures = []
    if tested:
        rows = [
            (c.arm, 100 * c.paired.mean, 100 * c.paired.low, 100 * c.paired.high)
            for c in tested
            if c.paired
        ]
        wide = {
            c.arm: (100 * c.items.low, 100 * c.items.high)
            for c in tested
            if c.items and not isnan(c.items.low)
        }
        figure = forest_figure(
            rows,
            f"difference from {study.reference} in points",
            margin=100 * equality_margin(study),
            wide=wide,
            single={
                c.arm: [100 * d for d in study.differences(c.arm, study.reference, endpoint(study))]
                for c in tested
            },
        )
        spans = {
            c.arm: span(c.paired.low, c.paired.high, points) for c in tested if c.paired is not None
        }
        words = "; ".join(f"{arm} {m:+.2f} ({spans[arm]})" for arm, m, _, _ in rows)
        legend = (
            "Thick: 95% interval over runs; thin: over runs and test items; small dots: runs; "
            f"shaded: ±{margin} points."
        )
        pictures.append(
            Picture(figure, f"Paired differences from {study.reference}", f"{legend} {words}.")
        )
    return Section("Results", texts, [results_table(study, comparisons)], pictures)


def limits_section(study: StudyData, comparisons: list[Comparison]) -> Section:
    """What the study could have seen."""
    rows = [
        [
            c.arm,
            str(c.paired.n),
            f"{100 * c.paired.sd:.2f}",
            f"±{100 * c.paired.half_width:.2f}",
            f"{100 * c.paired.detectable:.2f}",
        ]
        for c in comparisons
        if c.paired and not isnan(c.paired.low)
    ]
    if not rows:
        return Section(
            "What could have been detected",
            ["Nothing can be said: it takes two pairs of finished runs that don't differ alike."],
        )
    widths = [c.paired.half_width for c in comparisons if c.paired and not isnan(c.paired.low)]
    text = (
        f"The intervals over runs reach ±{100 * float(np.median(widths)):.2f} points from "
        "their middle (median over the arms). A true difference as large as in the last column "
        "would have been seen (p < 0.05, before adjustment) in 80% of studies like this one."
    )
    head = ["Arm", "Pairs", "sd of differences", "Half-width", "Detectable at 80% power"]
    caption = f"Differences from {study.reference}, in points"
    return Section(
        "What could have been detected",
        [text],
        [Table(caption, head, rows, frozenset(range(1, 5)))],
    )


def unfinished_section(study: StudyData) -> Section:
    """Which runs have no result, and why."""
    rows = [
        [arm, replicate, status, error or DASH]
        for arm, replicate, status, error in study.unfinished()
    ]
    if not rows:
        return Section("Failed and missing runs", ["None: every planned run is finished."])
    table = Table("Runs without a result", ["Arm", "Repetition", "Status", "Error"], rows)
    text = "These have no result. Their partners in other arms are left out of paired differences."
    return Section("Failed and missing runs", [text], [table])


def _raised(study: StudyData, overlap: float) -> str:
    return f"{1 + overlap * len(study.replicates):.2f} (standard errors by " + (
        f"{sqrt(1 + overlap * len(study.replicates)):.2f})"
    )


def _spread(mean: float, sd: float) -> str:
    if isnan(mean):
        return DASH
    return f"{100 * mean:.2f}" + (f" ± {100 * sd:.2f}" if not isnan(sd) else "")


def _interval(low: float, high: float) -> str:
    return DASH if isnan(low) else f"{points(low)} to {points(high)}"


def _p(value: float) -> str:
    if isnan(value):
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
