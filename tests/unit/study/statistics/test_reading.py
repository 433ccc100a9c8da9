"""One rule for every difference, and what a page says first: its regime."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempreg.report.reading import ReportError
from tempreg.study.page.claims import claims
from tempreg.study.page.regime import overfitted, regime
from tempreg.study.results import load_study
from tempreg.study.statistics.comparison import compare_arms
from tempreg.study.statistics.items import items_interval, write_items
from tempreg.study.statistics.paired import paired
from tempreg.study.statistics.reading import (
    read_difference,
    why_irrelevant,
    why_undecided,
    within,
)
from tests.study_folder import make_study

SPREAD = np.array([-1.0, 1.0, -0.5, 0.5, 0.0])


@pytest.mark.parametrize(
    ("mean", "spread", "said"),
    [
        (0.0, 0.001, "no relevant difference"),
        (0.0012, 0.0005, "no relevant difference"),  # p < 0.05, and inside the margin
        (-0.0012, 0.0005, "no relevant difference"),
        (0.004, 0.002, "undecided"),  # p < 0.05, but neither inside nor as large as the margin
        (-0.004, 0.002, "undecided"),
        (0.0051, 0.002, "higher"),
        (-0.0051, 0.002, "lower"),
        (0.02, 0.03, "undecided"),
        (0.001, 0.02, "undecided"),
    ],
)
def test_the_rule(mean: float, spread: float, said: str) -> None:
    d = list(mean + spread * SPREAD)
    assert read_difference(paired(d), within(d, 0.005, 0.0), 0.005) == said


def test_without_a_margin_any_difference_that_is_not_zero_counts() -> None:
    d = list(0.0012 + 0.0005 * SPREAD)
    test = paired(d)
    assert read_difference(test, within(d, None, 0.0), None) == "higher"
    assert read_difference(test, within(d, None, 0.0), None, p=0.2) == "undecided"
    seen = f"may well go unseen with {len(d)} seeds"
    holm = "its interval leaves out 0, but with several tests p has to be smaller (Holm); "
    said = f"a true difference smaller than about {test.detectable:.3f} {seen}"
    assert why_undecided(test, None, 0.2) == holm + said
    said = f"a true difference smaller than about {100 * test.detectable:.2f} points {seen}"
    assert why_undecided(test, 0.005, 0.2) == holm + said
    wide = paired(list(0.0012 + 0.02 * SPREAD))
    assert why_undecided(wide, 0.005).startswith("a true difference smaller than about")
    assert why_undecided(test, 0.005).startswith("not zero, but shown neither within ±0.5 points")


def test_what_is_not_zero_and_yet_irrelevant_says_both() -> None:
    d = list(0.0012 + 0.0005 * SPREAD)
    test, equal = paired(d), within(d, 0.005, 0.0)
    assert why_irrelevant(test, equal, 0.005) == (
        f"not zero (p = {test.p:.2g}), but within ±0.5 points (p = {equal:.2g})"
    )
    assert why_irrelevant(test, equal, 0.005, 0.2) == f"within ±0.5 points (p = {equal:.2g})"


@given(st.lists(st.floats(-0.02, 0.02), min_size=3, max_size=12), st.floats(0, 0.5))
def test_nothing_is_real_and_none_at_once(d: list[float], overlap: float) -> None:
    test, equal = paired(d, overlap=overlap), within(d, 0.005, overlap)
    said = read_difference(test, equal, 0.005)
    if said in ("higher", "lower"):
        assert equal >= 0.05
        assert abs(test.mean) >= 0.005
        assert test.p < 0.05
    if said == "no relevant difference":
        assert abs(test.mean) < 0.005


def test_what_moves_in_every_arm_is_not_trts(tmp_path: Path) -> None:
    """The centroid falls by half a timestep with `trt`, and as far with `rate`."""
    effects = {"rate": -0.05, "trt": -0.05}
    study = load_study(make_study(tmp_path / "alike", effects=effects, replicates=8))
    claim = claims(study, compare_arms(study))[3]
    assert claim.text.startswith("Fisher information")
    assert claim.verdict == "undecided"
    assert "trt minus rate" in claim.difference
    assert "; with trt it moved by -0.490, with rate by -0.499" in claim.detail
    effects = {"rate": -0.01, "trt": -0.05}
    study = load_study(make_study(tmp_path / "trt", effects=effects, replicates=8))
    claim = claims(study, compare_arms(study))[3]
    assert claim.verdict == "supported"
    effects = {"trt": -0.05}
    study = load_study(make_study(tmp_path / "alone", effects=effects, replicates=8))
    assert claims(study, compare_arms(study))[3].verdict == "not measured"


def test_a_gap_says_of_what_it_is_made(tmp_path: Path) -> None:
    """Made-up training accuracies are equal, so the smaller gap is the test accuracy again."""
    study = load_study(make_study(tmp_path, effects={"rate": 0.0, "trt": 0.03}, replicates=8))
    claim = claims(study, compare_arms(study))[1]
    assert "made of training accuracy +0.00 (+0.00 to +0.00) and test accuracy +" in claim.detail


MOVED = "mean_accuracy_over_steps"


def change(folder: Path, columns: dict[str, dict[str, float]]) -> Path:
    """`columns` by arm, the same in all of its runs."""
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        shift = 1e-4 * int(row["replicate"])  # else nothing says how far runs lie apart
        row |= {n: str(v + shift * (n == MOVED)) for n, v in columns[row["arm"]].items()}
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_the_regime_comes_first_and_names_what_overfits(tmp_path: Path) -> None:
    folder = make_study(tmp_path, effects={"rate": 0.0, "trt": 0.0, "step": 0.0}, replicates=3)
    assert regime(load_study(folder)).startswith("Every figure is of runs of 3 epochs, and says")
    last, best = MOVED, "test_mean_accuracy_over_steps_at_best_val"
    both = {"optimizer_steps": 1500, "epochs": 3, "kept_epoch": 3}
    columns = {
        "rate": {last: 0.80, best: 0.79, **both},
        "trt": {last: 0.80, best: 0.802, **both},
        "step": {last: 0.80, best: 0.81, **both},
    }
    study = load_study(change(folder, columns))
    assert overfitted(study) == ["step"]
    said = regime(study)
    assert said.startswith("Every figure is of runs of 1,500 optimiser steps (3 epochs), and")
    assert "changed by -0.99 to +1.01 points (means of the arms)." in said
    assert said.endswith(
        "Of 3 arms 1 still rose, 1 stayed within ±0.5 points; step fell, so overfit."
    )
    kept = {arm: {**values, "kept_epoch": 2} for arm, values in columns.items()}
    said = regime(load_study(change(folder, kept)))
    assert said.endswith("Whether anything overfits was not measured.")


def test_intervals_over_items_outlive_the_runs(tmp_path: Path) -> None:
    folder = make_study(tmp_path, effects={"rate": 0.0, "trt": 0.05}, replicates=4)
    before = load_study(folder)
    interval = items_interval(before, "trt", "rate")
    assert interval is not None
    write_items(before, [("trt", "rate")], folder)
    for path in folder.glob("runs/*/*/test_items.npz"):
        path.unlink()
    study = load_study(folder)
    kept = items_interval(study, "trt", "rate")
    assert kept is not None
    assert (kept.low, kept.high) == (interval.low, interval.high)
    assert kept.resampled == "crossed"
    ours, theirs = (
        list(study.values(arm, "mean_accuracy_over_steps").values()) for arm in ("trt", "rate")
    )
    assert kept.mean == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert items_interval(study, "rate", "trt") is None
    bare = replace(study, runs=[replace(run, values={}) for run in study.runs])
    middle = items_interval(bare, "trt", "rate")
    assert middle is not None
    assert middle.mean == pytest.approx((interval.low + interval.high) / 2)
    path = folder / "items.csv"
    path.write_text(path.read_text().replace("crossed", "twisted"))
    with pytest.raises(ReportError, match=r"items.csv, row 1: resampled can't be 'twisted'"):
        items_interval(study, "trt", "rate")


def test_folds_widen_the_interval_over_items_as_well(tmp_path: Path) -> None:
    folder = make_study(tmp_path, effects={"rate": 0.0, "trt": 0.05}, replicates=5)
    for place in (0, 1):
        for i in range(5):
            path = folder / "runs" / str(place) / f"{i:03d}" / "test_items.npz"
            with np.load(path) as file:
                np.savez(path, correct=file["correct"], items=file["items"] + 1000 * i)
    apart = items_interval(load_study(folder), "trt", "rate")
    text = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(text.replace("folds: 0", "folds: 5"))
    folds = items_interval(load_study(folder), "trt", "rate")
    assert apart is not None
    assert folds is not None
    factor = np.sqrt(1 + 5 * 0.2 / (0.8 * 0.9))
    assert folds.high - folds.low == pytest.approx(factor * (apart.high - apart.low))
