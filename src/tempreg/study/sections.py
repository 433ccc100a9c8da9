"""The parts of a study's report that are about its endpoint: claims, arms, results, limits."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np

from tempreg.report.page import Picture, Section, Table
from tempreg.report.study_figures import forest_figure
from tempreg.study.claims import Claim, points
from tempreg.study.comparison import (
    ENDPOINT,
    Comparison,
    endpoint,
    equality_margin,
    training_overlap,
)
from tempreg.study.results import StudyData

NOT_MEASURED = "Not measured in this study."
DASH = "–"  # noqa: RUF001 - as printed tables have it


def summary_section(study: StudyData, comparisons: list[Comparison], made: list[Claim]) -> Section:
    """What came out, in plain words."""
    planned = len(study.arms) * len(study.replicates)
    left_out = len(study.unfinished())
    texts = [
        f"{len(study.arms)} training methods (arms) were trained {len(study.replicates)} times "
        f"each, on the same data, networks and seeds, so {planned} runs"
        + (f", {left_out} of which have no result (see below)." if left_out else ".")
    ]
    measured = [c for c in comparisons if not isnan(c.mean)]
    if measured and endpoint(study) == ENDPOINT:
        best = max(measured, key=lambda c: c.mean)
        texts.append(
            f"What decides is {_endpoint_words(study)}. It was highest on average for "
            f"{best.arm}: {_spread(best.mean, best.sd)} %."
        )
    for verdict, words in (("higher", "more"), ("lower", "less")):
        arms = [c.arm for c in comparisons if c.verdict == verdict]
        if arms:
            texts.append(f"Significantly {words} accurate than {study.reference}: {_list(arms)}.")
    if arms := [c.arm for c in comparisons if c.verdict == "equal"]:
        margin = 100 * equality_margin(study)
        texts.append(f"Equal to {study.reference} within ±{margin:g} points: {_list(arms)}.")
    if arms := [c.arm for c in comparisons if c.verdict == "undecided"]:
        texts.append(f"Neither different from {study.reference} nor shown equal: {_list(arms)}.")
    rows = [[c.text, c.said, c.detail] for c in made]
    caption = "The paper's claims (arXiv 2506.19256), as this study's numbers have them"
    return Section("Summary", texts, [Table(caption, ["Claim", "Verdict", "Measured"], rows)])


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
            f"Each arm tried up to {trials} values of its own setting on a seed and split of no "
            "repetition, and kept the one with the best validation accuracy: "
            + "; ".join(
                f"{arm.name} {name} = {value}"
                for arm in study.arms
                for name, value in arm.chosen.items()
            )
            + ". The other arms have no such setting."
        )
    table = Table("Settings that an arm changes", ["Arm", *names], rows)
    return Section("What was compared", texts, [table])


def results_table(study: StudyData, comparisons: list[Comparison]) -> Table:
    """Every arm's endpoint and its difference from the reference; accuracies in percent."""
    items = next((c.items for c in comparisons if c.items), None)
    head = [
        "Arm", "Runs", "Mean ± sd, %", "Difference, points", "95% over runs",
        "95% over runs and items", "p (Holm)", "p (not equal)", "Reading",
    ]  # fmt: skip
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
    caption = f"{_endpoint_words(study)}; differences are paired, from {study.reference}{kind}"
    return Table(caption[:1].upper() + caption[1:], head, rows, frozenset(range(1, 8)))


def results_section(study: StudyData, comparisons: list[Comparison]) -> Section:
    """The endpoint: table and forest plot."""
    texts = [
        f"An arm is called higher or lower where p < 0.05 after Holm's adjustment over the arms, "
        f"and equal where two one-sided t tests reject a difference of "
        f"{100 * equality_margin(study):g} points or more; otherwise the study leaves it open.",
        "The interval over runs speaks of other seeds (and splits) on the same test items; that "
        "over runs and items also of other test items, by resampling both (where runs share none, "
        "runs with their items).",
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
        margin = equality_margin(study)
        figure = forest_figure(
            rows, f"difference from {study.reference} in points", margin=100 * margin, wide=wide
        )
        words = "; ".join(f"{a} {m:+.2f} ({low:+.2f} to {high:+.2f})" for a, m, low, high in rows)
        legend = (
            "Thick: 95% interval over runs; thin: over runs and test items; "
            f"shaded: ±{100 * margin:g} points."
        )
        pictures.append(
            Picture(figure, f"Paired differences from {study.reference}", f"{legend} {words}.")
        )
    return Section("Results", texts, [results_table(study, comparisons)], pictures)


def limits_section(study: StudyData, comparisons: list[Comparison]) -> Section:
    """What the study could have seen."""
    rows = [
        [c.arm, str(c.paired.n), f"{100 * c.paired.sd:.2f}", f"±{100 * c.paired.half_width:.2f}",
         f"{100 * c.paired.detectable:.2f}"]
        for c in comparisons
        if c.paired and c.paired.n > 1
    ]  # fmt: skip
    if not rows:
        return Section(
            "What could have been detected",
            ["Nothing can be said: differences need at least two pairs of finished runs."],
        )
    widths = [c.paired.half_width for c in comparisons if c.paired and c.paired.n > 1]
    text = (
        f"The intervals over runs are ±{100 * float(np.median(widths)):.2f} points wide "
        "(median over the arms). A true difference as large as in the last column would have "
        "been seen (p < 0.05, before adjustment) in 80% of studies like this one."
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


def _endpoint_words(study: StudyData) -> str:
    if endpoint(study) == ENDPOINT:
        return "test accuracy averaged over timesteps, after the last epoch"
    return endpoint(study).replace("_", " ")


def _raised(study: StudyData, overlap: float) -> str:
    return f"{1 + overlap * len(study.replicates):.2f} (standard errors by " + (
        f"{sqrt(1 + overlap * len(study.replicates)):.2f})"
    )


def _list(names: list[str]) -> str:
    return ", ".join(names)


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
