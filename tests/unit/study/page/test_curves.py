"""What a study's page shows of analyses: their curves, arms over one another, and what came out."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from tempreg.report.analyses import Analysis, Array
from tempreg.report.study_figures import MOST_BANDS, band_figure, lines_figure
from tempreg.report.svg import inline_svg, page_style
from tempreg.study.page.curves import CURVES, curves_of, landscapes
from tempreg.study.page.outcome import accuracy_sentences, outcome
from tempreg.study.page.report import write_study_report
from tempreg.study.results import load_study
from tempreg.study.statistics.comparison import compare_arms
from tests.study_folder import make_study


def analysis(quantity: str, **arrays: tuple[object, ...]) -> Analysis:
    made = {
        name: Array(np.asarray(values, dtype=float), axes, "")
        for name, (values, axes) in arrays.items()
    }
    return Analysis(quantity, made, {}, {}, {})


def spikes(scale: float) -> Analysis:
    return analysis(
        "spikes",
        rate=(scale * np.array([[0.1, 0.2, np.nan], [0.3, 0.4, 0.5]]), ("layer", "timestep")),
        energy=([3, 2, 1], ("timestep",)),
        membrane=(np.ones((2, 4)), ("layer", "bin")),
        membrane_edges=(np.arange(5), ("edge",)),
    )


def test_curves_are_means_over_layers_and_runs_with_runs_as_dots() -> None:
    with page_style():
        pictures = curves_of({"rate": [spikes(1), spikes(3)], "trt": [spikes(2)]}, " (kept)")
    assert [p.caption for p in pictures] == [
        "Firing rate by timestep (kept)", "Arithmetic energy by timestep (kept)",
    ]  # fmt: skip
    axes = pictures[0].figure.axes[0]
    lines = [line for line in axes.lines if line.get_linestyle() != "None"]
    # over what was measured: layers first, then runs
    np.testing.assert_allclose(lines[0].get_ydata(), [0.4, 0.6, 1.0])
    dots = [line for line in axes.lines if line.get_marker() == "."]
    np.testing.assert_allclose(dots[1].get_ydata(), [0.6, 0.9, 1.5])
    assert (len(dots), len(axes.collections)) == (3, 2)  # a band an arm
    assert "lower costs less" in pictures[0].words
    assert "rate 0.4 to 1" in pictures[0].words


def test_arrays_that_nobody_reads_are_not_drawn() -> None:
    shown = {curve.array for curves in CURVES.values() for curve in curves}
    assert not shown & {"membrane", "membrane_edges", "matrix", "factors", "dense"}


def test_many_arms_are_lines_alone() -> None:
    runs = {f"arm {i}": ([1.0, 2.0], [[i, i + 1.0]]) for i in range(MOST_BANDS + 1)}
    with page_style():
        assert not band_figure(runs, "x", "y").axes[0].collections
        runs.popitem()
        assert len(band_figure(runs, "x", "y").axes[0].collections) == MOST_BANDS


def test_landscapes_share_axes_and_colours() -> None:
    def flat(height: float) -> Analysis:
        plane = height * np.array([[4, 1, 4], [1, 0, 1], [4, 1, 4.0]])
        at = ("plane_radius",)
        return analysis("flatness", plane_scaled_loss=(plane, at * 2), plane_radii=([-1, 0, 1], at))

    by_arm = {"rate": [flat(1), flat(3)], "trt": [flat(1)]}
    with page_style():
        (picture,) = landscapes(by_arm, ["rate", "trt"])
        left, right, _ = picture.figure.axes
        assert left.get_shared_x_axes().joined(left, right)
        assert left.get_shared_y_axes().joined(left, right)
        levels = [axes.collections[0].levels for axes in (left, right)]
        assert levels[0].tolist() == levels[1].tolist()
        assert levels[0][[0, -1]].tolist() == [0, 8]  # of the mean over runs
        assert "rate 0 to 8 nats; trt 0 to 4 nats" in picture.words
        assert landscapes(by_arm, ["rate", "tet"]) == []


def test_what_came_out_is_said_of_every_arm(tmp_path: Path) -> None:
    effects = {"rate": 0.0, "trt": 0.05, "tet": -0.05, "same": 0.0}
    study = load_study(make_study(tmp_path / "s", effects=effects, replicates=8))
    said = outcome(study, "test_accuracy", "test accuracy", points=True)
    assert re.match(r"Test accuracy: higher than rate's for trt \(\+\d\.\d\d points\); lower", said)
    assert re.search(
        r"lower than rate's for tet \(-\d\.\d\d points\); open beside rate's for same", said
    )
    first, *rest = accuracy_sentences(study, compare_arms(study), "test accuracy")
    assert re.match(
        r"Shown to be higher, by [\w ]+: trt, \d\.\d\d points above rate \(\d\d\.\d\d%\), 95%",
        first,
    )
    assert rest[0].startswith("Lower: tet (-")
    assert "same" in rest[1]


def test_one_run_an_arm_says_nothing_yet(tmp_path: Path) -> None:
    study = load_study(make_study(tmp_path / "s", replicates=1))
    (sentence,) = accuracy_sentences(study, compare_arms(study), "test accuracy")
    assert sentence.startswith("Nothing can be said yet: it takes two finished runs of two arms.")
    assert "one run can't be judged" in outcome(study, "firing_rate", "the firing rate")


def test_no_section_begins_without_what_is_measured(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s")
    page = write_study_report(folder).paths[0].read_text()
    for title in ("Results", "Accuracy by timestep", "Training curves", "Temporal gradients",
                  "Fisher information", "Flatness", "Training, validation and test"):  # fmt: skip
        start = page.split(f">{title}</h2>\n<p>")[1]
        assert start.startswith("Measured: "), title
    overview = page.split("Overview</h2>\n<p>")[1].split("</section>")[0]
    said = ["5 training methods", "The arms&#39; names", "Every figure is of", "The one confirm",
            "Secondary, and exploratory", "Shown to be higher, by", "Also higher"]  # fmt: skip
    assert [p for p in said if f"<p>{p}" in f"<p>{overview}"] == said
    assert sorted(overview.index(p) for p in said) == [overview.index(p) for p in said]
    # the verdict stands with the arm, which stays in sight
    with (folder / "results.csv").open(newline="") as file:
        arms = dict.fromkeys(row["arm"] for row in csv.DictReader(file))
    assert len(re.findall(r'<th role="rowheader"[^>]*>[^<]+ <span class="verdict">', page)) == len(
        arms
    )


@pytest.mark.parametrize(
    ("low", "high"), [(1e-5, 1e-1), (2e-4, 3e-3), (0.011, 0.019), (0.09, 0.92)]
)
def test_ticks_of_logarithms_are_few_numbers(low: float, high: float) -> None:
    with page_style():
        figure = lines_figure({"a": ([low, high], [low, high])}, "x", "y")
        figure.axes[0].set(xscale="log", yscale="log")
        drawn = inline_svg(figure, "k")
    texts = re.findall(r">([^<>]+)</text>", drawn)
    ticks = [text for text in texts if re.fullmatch(r"[\d.e+\u2212-]+", text)]
    assert "math" not in drawn
    assert len(ticks) == len([t for t in texts if t not in ("x", "y", "a")])
    assert 4 <= len(ticks) <= 16  # of both axes
