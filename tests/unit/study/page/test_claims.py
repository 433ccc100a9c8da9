"""Verdicts and sentences, from studies whose truth is known because it was made up."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from tempreg.study.page.claims import Claim, claims
from tempreg.study.results import StudyData, load_study
from tempreg.study.statistics.comparison import (
    Comparison,
    compare_arms,
    items_interval,
    training_overlap,
)
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
        "same": "no relevant difference",
    }  # fmt: skip
    assert [claim.verdict for claim in made][1:] == [
        "supported",  # the gap
        "supported",  # flatness
        "contradicted",  # the centroid rises with the made-up effect
        "supported",
        "no relevant difference",
        "supported",
    ]
    assert "; within ±0.5 points (p = " in made[5].detail
    assert "(30 repetitions)" in made[4].sentence
    assert made[4].sentence.startswith("TRT is more accurate than direct training: supported.")


def test_l2_that_ends_with_the_same_norm_comes_before_the_other(tmp_path: Path) -> None:
    effects = {"rate": 0.0, "step+mse+l2": -0.05, "step+mse+l2n": 0.0, "trt": 0.05}
    made = compared(make_study(tmp_path, effects=effects, replicates=10))[2]
    assert made[5].verdict == "supported"
    assert "trt minus step+mse+l2n: +" in made[5].detail


def test_two_repetitions_leave_it_open(tmp_path: Path) -> None:
    effects = {"rate": 0.0, "step+mse+l2": 0.0, "trt": 0.001}
    _, arms, made = compared(make_study(tmp_path, effects=effects, replicates=2, seed=4))
    assert arms["trt"].verdict == "undecided"
    assert made[4].verdict == made[5].verdict == "undecided"
    assert "L2 of matched strength: undecided at this number of seeds." in made[5].sentence
    assert "; a true difference smaller than about" in made[5].detail


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
    assert again.verdict == "no relevant difference"
    assert again.items is not None
    assert (again.items.low, again.items.high) == (0, 0)


def with_columns(folder: Path, columns: dict[str, dict[str, list[float]]], data: str) -> Path:
    """The study on another data set, with more columns: by arm, a value a repetition."""
    facts = yaml.safe_load((folder / "study.yaml").read_text())
    facts["base"]["data"]["name"] = data
    (folder / "study.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for name, by_arm in columns.items():
            row[name] = str(by_arm[row["arm"]][int(row["replicate"])])
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def interval(d: np.ndarray) -> tuple[float, float, float]:
    half = stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return d.mean(), d.mean() - half, d.mean() + half


RATIOS = {"rate": [1e-3, 2e-3, 3e-3, 1e-3], "trt": [1e-1, 3e-1, 2e-1, 2e-1]}


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        ("fashion-gap", "supported"), ("nmnist-gap", "supported"), ("fashion-motion", "supported"),
        ("fashion-mnist", "not testable here"), ("nmnist", "not testable here"),
    ],
)  # fmt: skip
def test_vanishing_gradients_are_judged_where_time_is_needed(
    tmp_path: Path, data: str, verdict: str
) -> None:
    folder = make_study(tmp_path, effects={"rate": 0.0, "trt": 0.0}, replicates=4)
    early = {"rate": [1.0, 1.1, 0.9, 1.0], "trt": [1.0, 0.9, 1.2, 1.3]}
    columns = {"gradient_first_last": RATIOS, "gradient_first_last_epoch_1": early}
    study, _, made = compared(with_columns(folder, columns, data))
    claim = made[0]
    assert claim.verdict == verdict
    own = interval(np.log10(RATIOS["trt"]) - np.log10(RATIOS["rate"]))
    first = interval(np.log10(early["trt"]) - np.log10(early["rate"]))
    decay = interval(np.array(study.differences("trt", "rate", "gradient_decay")))
    mean, low, high = (f"{value:+.3f}" for value in own)
    assert f"after epoch 1: {first[0]:+.3f} orders of magnitude" in claim.detail
    assert f"{decay[0]:+.3f}" in claim.detail
    if verdict == "supported":
        assert claim.figure == f"{mean} ({low} to {high}) orders of magnitude"
        assert claim.detail.startswith("Gradient of the arm's own loss at the first timestep over")
    else:
        assert "not testable here: set by tau (theory 8 to 10). Factor to which" in claim.sentence
        assert f"{mean} orders of magnitude ({low} to {high})" in claim.detail
        assert "it may be zero" not in claim.detail


def test_whoever_knows_that_their_data_needs_time_says_so(tmp_path: Path) -> None:
    folder = make_study(tmp_path, effects={"rate": 0.0, "trt": 0.0}, replicates=4)
    with_columns(folder, {"gradient_first_last": RATIOS}, "mine")
    assert compared(folder)[2][0].verdict == "not testable here"
    with (folder / "study.yaml").open("a") as file:
        file.write("claims: {needs_time: true}\n")
    assert compared(folder)[2][0].verdict == "supported"
    with_columns(folder, {"gradient_first_last": {"rate": [1.0] * 4, "trt": [0.0] * 4}}, "mine")
    assert "Factor to which" in compared(folder)[2][0].detail  # zeros are no measurement


def test_the_published_estimator_and_the_halves_stand_beside_the_centroid(tmp_path: Path) -> None:
    folder = make_study(tmp_path, effects={"rate": 0.0, "trt": 0.0}, replicates=4)
    rng = np.random.default_rng(3)
    columns = {
        f"fisher{way}_centroid_{end}": {arm: rng.normal(2, 0.1, 4).tolist() for arm in RATIOS}
        for way in ("", "_batch", "_batch_sampled")
        for end in ("first", "end")
    }
    columns |= {
        f"fisher_shift_half_{i}": {arm: rng.normal(0, 0.1, 4).tolist() for arm in RATIOS}
        for i in (1, 2)
    }
    claim = compared(with_columns(folder, columns, "nmnist"))[2][3]

    def shifted(way: str) -> np.ndarray:
        by_arm = [
            np.subtract(*(columns[f"fisher{way}_centroid_{x}"][arm] for x in ("end", "first")))
            for arm in ("trt", "rate")
        ]
        return by_arm[0] - by_arm[1]

    for way, words in (("_batch", "true"), ("_batch_sampled", "sampled")):
        mean, low, high = interval(shifted(way))
        said = f"by batches with {words} labels: {mean:+.3f} timesteps ({low:+.3f} to {high:+.3f})"
        assert said in claim.detail
    halves = [
        np.subtract(*(columns[f"fisher_shift_half_{i}"][arm] for arm in ("trt", "rate")))
        for i in (1, 2)
    ]
    r = stats.pearsonr(*halves).statistic
    r = 2 * r / (1 + r) if r > 0 else r
    assert f"on two halves of the samples {halves[0].mean():+.3f} and {halves[1].mean():+.3f}" in (
        claim.detail
    )
    assert f"whose reliability over repetitions is {r:.2f}" in claim.detail
    mean, low, high = interval(shifted(""))
    assert claim.figure == f"{mean:+.3f} ({low:+.3f} to {high:+.3f}) timesteps"
