"""Sections of a study's report that only some studies have: sweeps, penalties, chosen values."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import yaml

from tempreg.report.analyses import Analysis
from tempreg.report.svg import page_style
from tempreg.study.page.how import how_measured
from tempreg.study.page.penalty import penalty_section
from tempreg.study.page.report import write_study_report
from tempreg.study.page.sections import arms_section
from tempreg.study.page.sweeps import sweeps, sweeps_section
from tempreg.study.results import load_study
from tests.study_folder import make_study

GRID = {
    f"trt@lam={lam}@decay={decay}": {"objective.lam": float(lam), "objective.decay": decay}
    for lam in ("1e-4", "1e-3")
    for decay in (0, 0.25, 0.5)
}


def make(folder: Path, arms: dict[str, dict[str, object]], norms: dict[str, float]) -> Path:
    """A study of these arms (changes beside the objective), each with its norm of the weights."""
    make_study(folder, effects={name: 0.01 * i for i, name in enumerate(arms)}, replicates=3)
    facts = yaml.safe_load((folder / "study.yaml").read_text())
    for arm in facts["arms"]:
        objective = arm["name"].partition("@")[0]
        arm["changes"] = {"objective.name": objective, **arms[arm["name"]]}
    (folder / "study.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["weight_norm"] = str(norms.get(row["arm"], 11.0) * (1 + 0.01 * int(row["replicate"])))
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_a_grid_becomes_a_map_whose_numbers_are_the_means(tmp_path: Path) -> None:
    study = load_study(make(tmp_path / "s", {"step": {}, **GRID}, {}))
    with page_style():
        section = sweeps_section(study)
    assert section is not None
    (picture,) = section.pictures
    assert picture.caption == "trt over lam and decay"
    values = study.values("trt@lam=1e-3@decay=0.25", "mean_accuracy_over_steps").values()
    assert f"0.001, 0.25: {100 * sum(values) / 3:.2f}" in picture.words
    axes = picture.figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "0.25", "0.5"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["0.0001", "0.001"]
    assert "trt over lam and decay" in write_study_report(tmp_path / "s").paths[0].read_text()


def test_one_setting_is_a_line_and_three_are_several_maps(tmp_path: Path) -> None:
    line = {f"trt@lam={lam}": {"objective.lam": float(lam)} for lam in ("1e-5", "1e-4", "1e-3")}
    study = load_study(make(tmp_path / "line", line, {}))
    cube = {
        f"{name}@eta={eta}": {**changes, "objective.eta": eta}
        for name, changes in GRID.items()
        for eta in (0.1, 0.2)
    }
    with page_style():
        section = sweeps_section(study)
        assert section is not None
        assert section.pictures[0].figure.axes[0].get_xscale() == "log"
        maps = sweeps_section(load_study(make(tmp_path / "cube", cube, {})))
    assert maps is not None
    assert [p.caption for p in maps.pictures] == [
        f"trt over lam and decay, eta = {eta}" for eta in (0.1, 0.2)
    ]


def test_arms_that_are_no_sweep_are_none(tmp_path: Path) -> None:
    study = load_study(make(tmp_path / "s", {"step": {}, "trt@lam=1": {"objective.lam": 1.0}}, {}))
    assert sweeps(study.arms) == {}
    assert sweeps_section(study) is None


@pytest.mark.parametrize(("norm", "verdict"), [(9.8, "active"), (10.0, "not active")])
def test_a_penalty_is_active_where_the_weights_shrink(
    tmp_path: Path, norm: float, verdict: str
) -> None:
    arms = {"step": {}, "step+mse": {}, "trt": {}, "anytime+trt": {}, "rate+l2": {}}
    norms = {"step": 20.0, "step+mse": 11.0, "trt": norm}
    folder = make(tmp_path / "s", arms, norms)
    (folder / "chosen.json").write_text(json.dumps({"trt": {"objective.lam": 0.006}}))
    section = penalty_section(load_study(folder))
    assert section is not None
    rows = {row[0]: row for row in section.tables[0].rows}
    assert rows["trt"][1:4] == ["0.006", "step+mse", f"{100 * (norm / 11 - 1):+.1f}"]
    assert rows["trt"][-1] == verdict
    assert rows["rate+l2"][-1] == "not known"  # no arm "rate" to hold it against
    shown = f"trt ({100 * (norm / 11 - 1):+.1f}% beside step+mse)"
    idle = f"in no arm; it was idle, so can hardly have made a difference, in {shown}."
    assert section.paragraphs[1].endswith(f"in {shown}." if verdict == "active" else idle)


def test_without_penalties_there_is_no_section(tmp_path: Path) -> None:
    study = load_study(make(tmp_path / "s", {"step": {}, "anytime": {}}, {}))
    assert penalty_section(study) is None


def test_what_was_chosen_stands_with_the_arms(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s")
    facts = yaml.safe_load((folder / "study.yaml").read_text())
    (folder / "study.yaml").write_text(yaml.safe_dump({**facts, "trials": 4}))
    (folder / "chosen.json").write_text(json.dumps({"trt": {"objective.lam": 0.001}}))
    section = arms_section(load_study(folder))
    table = section.tables[0]
    assert list(table.head) == ["Arm", "objective.name", "objective.lam"]
    assert ["trt", "trt", "0.001"] in table.rows
    assert "trt objective.lam = 0.001" in section.paragraphs[1]


def test_how_analyses_were_made_stands_before_their_figures(tmp_path: Path) -> None:
    study = load_study(make_study(tmp_path))

    def said(quantity: str, *settings: dict[str, object]) -> str:
        return " ".join(
            how_measured(study, quantity, [Analysis(quantity, {}, {}, {}, s) for s in settings])
        )

    held_out = {"split": "test", "samples": 1000, "draws": 20, "gains": False}
    assert said("flatness", held_out, {**held_out, "samples": 1024}) == (
        "On 1,000 to 1,024 held-out samples of each run, 20 draws of noise at each strength. "
        "Weights of two and more dimensions are moved; batch norm's gains stay."
    )
    assert "so are batch norm's gains." in said("flatness", {**held_out, "gains": True})
    assert "gains in some runs." in said("flatness", held_out, {**held_out, "gains": True})
    assert "not testable here: set by tau (theory 8 to 10)" in said("gradients", {})
    assert said("fisher", {"samples": 1024}).startswith("On 1,024 samples of each run.")
    assert said("flatness") == said("gradients") == said("spikes", {}) == ""


def test_differences_that_are_all_the_same_show_nothing(tmp_path: Path) -> None:
    """Two seeds on few test items often differ by the same number of items."""
    study = make_study(tmp_path / "study", effects={"rate": 0.0, "trt": 0.0}, replicates=2)
    table = study / "results.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for column in row:
            if "accuracy" in column:
                better = 0.25 if row["arm"] == "trt" else 0.0
                row[column] = str(0.5 + int(row["replicate"]) / 8 + better)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    written = write_study_report(study)
    page = (study / "report.html").read_text()
    assert "averaged over timesteps is shown to be above rate" in page
    same = "the same with all 2 seeds, which says nothing of how far seeds lie apart"
    assert f"trt minus rate: +25.00 points: undecided, for it is {same}" in page
    assert "every seed differs by the same" in page
    words = re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
    assert re.findall(r".{40}\bnan\b.{20}", words) == []
    assert "undecided" in written.table
    assert "<h2>Was the penalty active?" not in page
