"""Verdicts and sentences, from studies whose truth is known because it was made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tempreg.study.claims import Claim, claims
from tempreg.study.comparison import Comparison, compare_arms, items_interval, training_overlap
from tempreg.study.results import StudyData, load_study
from tests.study_folder import ITEMS, STEPS, make_study


def compared(folder: Path) -> tuple[StudyData, dict[str, Comparison], list[Claim]]:
    study = load_study(folder)
    comparisons = compare_arms(study)
    return study, {c.arm: c for c in comparisons}, claims(study, comparisons)


def test_verdicts_follow_the_truth(tmp_path: Path) -> None:
    effects = {"rate": 0.0, "step+mse+l2": 0.05, "trt": 0.05, "worse": -0.05, "same": 0.0}
    _, arms, made = compared(make_study(tmp_path, effects=effects, replicates=30, seed=1))
    readings = {name: c.verdict for name, c in arms.items()}
    assert readings == {
        "rate": "reference", "step+mse+l2": "higher", "trt": "higher", "worse": "lower",
        "same": "equal",
    }  # fmt: skip
    assert [claim.verdict for claim in made][1:] == [
        "supported",  # the gap
        "supported",  # flatness
        "not supported",  # the centroid rises with the made-up effect
        "supported",
        "not supported",
    ]
    assert "no difference from L2 within ±0.5 points (p = " in made[5].detail
    assert "(30 repetitions)" in made[4].sentence
    assert made[4].sentence.startswith("TRT is more accurate than direct training: supported.")


def test_two_repetitions_leave_it_open(tmp_path: Path) -> None:
    effects = {"rate": 0.0, "step+mse+l2": 0.0, "trt": 0.001}
    _, arms, made = compared(make_study(tmp_path, effects=effects, replicates=2, seed=4))
    assert arms["trt"].verdict == "undecided"
    assert made[4].verdict == made[5].verdict == "undecided"
    assert "L2 of matched strength: undecided at this number of seeds." in made[5].sentence
    assert "neither different from L2 nor equal within ±0.5 points" in made[5].detail


def test_what_is_not_there_is_not_measured(tmp_path: Path) -> None:
    folder = make_study(tmp_path, effects={"rate": 0.0, "step": 0.1}, replicates=2)
    assert {claim.verdict for claim in compared(folder)[2]} == {"not measured"}
    text = (folder / "results.csv").read_text()
    (folder / "results.csv").write_text(text.replace("noise_accuracy_drop", "unrelated"))
    study = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(study.replace("name: step", "name: trt", 1))
    (folder / "results.csv").write_text(
        (folder / "results.csv").read_text().replace("\nstep,", "\ntrt,")
    )
    costs = (folder / "costs.csv").read_text()
    (folder / "costs.csv").write_text(costs.replace("\nstep,", "\ntrt,"))
    made = compared(folder)[2]
    assert made[2].verdict == "not measured"
    assert made[4].verdict != "not measured"


def test_a_failed_run_leaves_its_partners_out(tmp_path: Path) -> None:
    study, arms, _ = compared(make_study(tmp_path, failed="no memory"))
    assert (arms["rate"].n, arms["step"].n, arms["trt"].n) == (4, 4, 5)
    assert arms["trt"].paired is not None
    assert arms["trt"].paired.n == 4
    assert study.unfinished() == [
        ("rate", "004", "failed", "no memory"), ("step", "004", "missing", ""),
    ]  # fmt: skip


def test_rows_are_paired_by_repetition_whatever_their_order(tmp_path: Path) -> None:
    folder = make_study(tmp_path)
    before = compared(folder)[1]
    head, *rows = (folder / "results.csv").read_text().splitlines()
    np.random.default_rng(0).shuffle(rows)
    (folder / "results.csv").write_text("\n".join([head, *rows]) + "\n")
    assert {name: c.paired for name, c in compared(folder)[1].items()} == {
        name: c.paired for name, c in before.items()
    }


def test_items_are_crossed_where_shared_and_nested_where_not(tmp_path: Path) -> None:
    folder = make_study(tmp_path, effects={"rate": 0.0, "trt": 0.05}, replicates=4)
    study = load_study(folder)
    shared = items_interval(study, "trt", "rate")
    assert shared is not None
    assert shared.resampled == "crossed"
    for place in (0, 1):
        for i in range(4):
            path = folder / "runs" / str(place) / f"{i:03d}" / "test_items.npz"
            with np.load(path) as file:
                np.savez(path, correct=file["correct"], items=file["items"] + 1000 * i)
    own = items_interval(study, "trt", "rate")
    assert own is not None
    assert own.resampled == "nested"
    assert own.mean == pytest.approx(shared.mean)
    first = folder / "runs" / "0" / "000" / "test_items.npz"
    np.savez(first, correct=np.zeros((STEPS, ITEMS), np.uint8), items=np.arange(ITEMS)[::-1])
    assert items_interval(study, "trt", "rate") is None
    first.unlink()
    assert items_interval(study, "trt", "rate") is None


def test_folds_raise_the_variance(tmp_path: Path) -> None:
    folder = make_study(tmp_path)
    apart = compared(folder)[1]["trt"]
    text = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(text.replace("folds: 0", "folds: 5"))
    study, arms, _ = compared(folder)
    assert training_overlap(study) == pytest.approx(0.2 / (0.8 * 0.9))
    assert arms["trt"].paired is not None
    assert apart.paired is not None
    assert arms["trt"].paired.half_width > 1.4 * apart.paired.half_width
    (folder / "study.yaml").write_text(text.replace("folds: 0", "folds: 5") + "overlap: 0\n")
    assert compared(folder)[1]["trt"].paired == apart.paired


def test_an_arm_against_itself_differs_by_nothing(tmp_path: Path) -> None:
    folder = make_study(tmp_path, effects={"rate": 0.0, "again": 0.0}, replicates=3)
    head, *rows = (folder / "results.csv").read_text().splitlines()
    same = [row.replace("rate,", "again,", 1) for row in rows[:3]]
    (folder / "results.csv").write_text("\n".join([head, *rows[:3], *same]) + "\n")
    again = compared(folder)[1]["again"]
    assert again.paired is not None
    assert (again.paired.mean, again.paired.low, again.paired.high) == (0, 0, 0)
    assert again.verdict == "equal"
    assert again.items is not None
    assert (again.items.low, again.items.high) == (0, 0)
