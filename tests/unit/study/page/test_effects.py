"""Main effects of a factorial study: against a least-squares fit, and a known truth."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from tempreg.options import parse_objective
from tempreg.report.svg import page_style
from tempreg.study.page.confirmatory import confirmatory_sentence
from tempreg.study.page.effects import effects_section
from tempreg.study.page.report import write_study_report
from tempreg.study.page.words import DASH
from tempreg.study.results import StudyData, load_study
from tempreg.study.statistics.effects import PARTS, effects
from tests.study_folder import make_study

ARMS = [
    base + mse + penalty
    for base, mse, penalty in itertools.product(
        ("rate", "step"), ("", "+mse"), ("", "+trt", "+l2n")
    )
]
TRUE = {"step": 0.02, "+mse": 0.01, "+trt": 0.006, "+l2n": 0.002}
SIZES = {arm: sum(v for k, v in TRUE.items() if k in arm) for arm in ARMS}


def factorial(folder: Path, *, replicates: int = 10, seed: int = 0) -> StudyData:
    make_study(folder, effects=SIZES, replicates=replicates, seed=seed)
    return load_study(folder)


def drawn_again(study: StudyData, seed: int) -> StudyData:
    """The study with other accuracies of the same truth: as `make_study` draws them."""
    rng = np.random.default_rng(seed)
    common = {name: 0.8 + 0.02 * rng.standard_normal() for name in study.replicates}
    runs = []
    for run in study.runs:
        accuracy = common[run.replicate] + SIZES[run.arm] + 0.004 * rng.standard_normal()
        runs.append(replace(run, values={**run.values, "test_accuracy": accuracy}))
    return replace(study, runs=runs)


def test_effects_are_those_of_least_squares(tmp_path: Path) -> None:
    """With every cell there, main effects are a linear model's coefficients (one block a run)."""
    study = factorial(tmp_path / "s")
    rows, y = [], []
    for arm in ARMS:
        for i, value in enumerate(study.values(arm, "test_accuracy").values()):
            block = [float(i == j) for j in range(10)]
            rows.append([*(float(k in arm) for k in TRUE), *block])
            y.append(value)
    fit = np.linalg.lstsq(np.array(rows), np.array(y), rcond=None)[0]
    found = {effect.part.name: effect for effect in effects(study, "test_accuracy")}
    named = {
        "supervision at every timestep": fit[0],
        "the MSE term": fit[1],
        "TRT's penalty": fit[2],
        "L2 that ends with the same norm": fit[3],
        "TRT's penalty in the place of L2 that ends with the same norm": fit[2] - fit[3],
    }
    assert found.keys() == named.keys()
    for name, expected in named.items():
        effect = found[name]
        assert effect.test.mean == pytest.approx(expected, abs=1e-12)
        assert len(effect.pairs) == (6 if "supervision" in name or "MSE" in name else 4)
        reference = stats.ttest_1samp(effect.differences, 0)
        interval = reference.confidence_interval()
        assert (effect.plain.low, effect.plain.high) == pytest.approx((interval.low, interval.high))
        assert effect.plain.p == pytest.approx(reference.pvalue)


def test_two_repetitions_are_enough_for_an_effect_and_one_is_not(tmp_path: Path) -> None:
    two = effects(factorial(tmp_path / "two", replicates=2), "test_accuracy")
    assert [len(effect.differences) for effect in two] == [2] * 5
    assert effects(factorial(tmp_path / "one", replicates=1), "test_accuracy") == []


def test_intervals_cover_the_truth(tmp_path: Path) -> None:
    """Of 300 studies with five effects each, 95% within two points."""
    study, covered = factorial(tmp_path, replicates=4), []
    for seed in range(300):
        truths = (0.02, 0.01, 0.006, 0.002, 0.004)
        drawn = drawn_again(study, seed)
        for effect, truth in zip(effects(drawn, "test_accuracy"), truths, strict=True):
            covered.append(effect.test.low <= truth <= effect.test.high)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_only_what_differs_in_the_part_alone_is_paired(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    make_study(folder, effects={"rate": 0, "step": 0.01, "other": 0.02, "rate+mse": 0.03})
    facts = yaml.safe_load((folder / "study.yaml").read_text())
    facts["arms"][2]["changes"] = {"objective.name": "step", "optimizer.lr": 0.1}
    facts["arms"][3]["changes"] = {"objective.name": "rate+mse", "objective.eta": 0.2}
    (folder / "study.yaml").write_text(yaml.safe_dump(facts))
    found = {e.part.name: e.pairs for e in effects(load_study(folder), "test_accuracy")}
    assert found == {
        "supervision at every timestep": [("step", "rate")],
        "the MSE term": [("rate+mse", "rate")],
    }


def test_strengths_that_both_arms_read_must_be_alike(tmp_path: Path) -> None:
    """Of weak and strong arms two pairs, not four: what an arm leaves open is the base's value."""
    folder = make_study(
        tmp_path / "s", effects=dict.fromkeys(("trt", "l2", "trt9", "l29", "t1"), 0)
    )
    facts = yaml.safe_load((folder / "study.yaml").read_text())
    facts["base"]["objective"] = {"lam": 1e-5}
    for arm in facts["arms"]:
        arm["changes"] = {"objective.name": "trt" if arm["name"][0] == "t" else "step+mse+l2"}
        if arm["name"].endswith("9"):
            arm["changes"]["objective.lam"] = 0.006
    facts["arms"][4]["changes"]["objective.lam"] = 1e-5
    (folder / "study.yaml").write_text(yaml.safe_dump(facts))
    (found,) = effects(load_study(folder), "test_accuracy")
    assert found.pairs == [("trt", "l2"), ("trt9", "l29"), ("t1", "l2")]
    (folder / "chosen.json").write_text('{"l2": {"objective.lam": 0.006}}')
    (found,) = effects(load_study(folder), "test_accuracy")
    assert found.pairs == [("trt", "l2"), ("trt9", "l2"), ("trt9", "l29")]


def test_runs_that_not_all_pairs_have_are_left_out(tmp_path: Path) -> None:
    study = factorial(tmp_path / "s")
    path = tmp_path / "s" / "results.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [r for r in rows if not (r["arm"] == "step+mse" and r["replicate"] == "003")]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)
    before = {e.part.name: e.test.n for e in effects(study, "test_accuracy")}
    after = {e.part.name: e.test.n for e in effects(load_study(tmp_path / "s"), "test_accuracy")}
    assert before["TRT's penalty"] == 10
    assert after["TRT's penalty"] == after["the MSE term"] == 9


def test_the_page_has_the_table(tmp_path: Path) -> None:
    factorial(tmp_path / "s")
    with page_style():
        paths = write_study_report(tmp_path / "s").paths
    page = paths[0].read_text(encoding="utf-8")
    assert "What each part does" in page
    assert "TRT&#39;s penalty in the place of L2 that ends" in page
    assert "p is adjusted over 10 tests (Holm)" in page


def test_the_confirmatory_test_is_always_the_same(tmp_path: Path) -> None:
    study = load_study(make_study(tmp_path / "s"))
    said = confirmatory_sentence(study)
    reference = stats.ttest_rel(
        list(study.values("trt", "test_accuracy").values()),
        list(study.values("rate", "test_accuracy").values()),
    )
    interval = reference.confidence_interval()
    assert said is not None
    assert f"({100 * interval.low:+.2f} to {100 * interval.high:+.2f}), p =" in said
    assert "correction" not in said
    assert "trt minus rate" in said
    without = load_study(make_study(tmp_path / "other", effects={"rate": 0, "step": 0.01}))
    assert confirmatory_sentence(without) is None


def test_what_an_objective_is_without_each_part() -> None:
    """Of every part: an objective that has it, and the one without; and one that lacks it."""
    without = [
        ("step+mse", "rate+mse"), ("anytime+mse", "rate+mse"), ("step+mse", "step"),
        ("trt", "step+mse"), ("rate+l2n", "rate"), ("step+mse+trt", "step+mse+l2n"),
        ("step+l2", "step"), ("rate+trt", "rate+l2"), ("step+logit", "step"),
        ("rate+logit-early", "rate+logit"), ("rate+logit-late", "rate+logit"),
        ("step+logit-early", "step+logit-late"), ("anytime+kd", "anytime"),
        ("rate+self", "rate"), ("step+ls", "step"),
    ]  # fmt: skip
    for part, (whole, rest) in zip(PARTS, without, strict=True):
        assert part.without(parse_objective(whole)) == parse_objective(rest), part.name
        assert part.without(parse_objective("tet")) is None, part.name


def test_a_part_that_one_endpoint_lacks_has_the_other(tmp_path: Path) -> None:
    """As where the runs of an arm were made before there was the mean over timesteps."""
    make_study(tmp_path / "s", effects=SIZES)
    results = tmp_path / "s" / "results.csv"
    with results.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if "trt" in row["arm"]:
            row["mean_accuracy_over_steps"] = ""
    with results.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    section = effects_section(load_study(tmp_path / "s"))
    assert section is not None
    cells = {row[0]: row[2:] for row in section.tables[0].rows}
    assert cells["TRT's penalty"][1] == DASH != cells["TRT's penalty"][0]
    assert DASH not in cells["L2 that ends with the same norm"]
