"""Items of all runs in one file, and the mixed model over partitions that is made of them."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from tempreg.report.reading import ReportError
from tempreg.study.packed import items_of, write_packed
from tempreg.study.page.recordings import recordings_section
from tempreg.study.results import StudyData, load_study, training_overlap
from tempreg.study.statistics.mixed import mixed_model
from tempreg.study.statistics.partitions import over_recordings
from tests.study_folder import make_study

FOLDS, ITEMS, STEPS = 3, 60, 4


def test_published_items_are_those_of_the_runs(tmp_path: Path) -> None:
    study = load_study(make_study(tmp_path / "s", failed="out of memory"))
    assert write_packed(study, study.folder) is not None
    from_runs = {(r.arm, r.replicate): items_of(study, r) for r in study.runs}
    shutil.rmtree(tmp_path / "s" / "runs")
    again = load_study(tmp_path / "s")
    for run in again.runs:
        before, now = from_runs[run.arm, run.replicate], items_of(again, run)
        assert (before is None) == (now is None)
        if before is not None and now is not None:
            np.testing.assert_array_equal(before[0], now[0])
            np.testing.assert_array_equal(before[1], now[1])
    assert write_packed(again, tmp_path) is None  # nothing to make it of
    (tmp_path / "s" / "items.npz").write_bytes(b"PK\3\4")
    with pytest.raises(ReportError, match=r"items\.npz is damaged"):
        items_of(load_study(tmp_path / "s"), again.runs[0])


def folded(folder: Path, partitions: int = 4) -> StudyData:
    """Runs that are folds of partitions: fold f of partition p tests every third item."""
    count = partitions * FOLDS
    make_study(folder, effects={"rate": 0.0, "trt": 0.1}, replicates=count)
    facts = yaml.safe_load((folder / "study.yaml").read_text())
    facts["base"]["data"] = {"folds": FOLDS, "validation": 0.1, "reserve": 0.25}
    (folder / "study.yaml").write_text(yaml.safe_dump(facts))
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rng = np.random.default_rng(0)
    for row in rows:
        index = int(row["replicate"])
        partition, fold = divmod(index, FOLDS)
        row["split"] = f"{partition}.{fold}"
        order = np.random.default_rng(partition).permutation(ITEMS)
        items = np.sort(order[fold::FOLDS])
        chance = 0.6 + 0.2 * (row["arm"] == "trt")
        correct = (rng.random((STEPS, len(items))) < chance).astype(np.uint8)
        np.savez_compressed(folder / row["run"] / "test_items.npz", correct=correct, items=items)
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return load_study(folder)


def test_folds_become_a_table_of_partitions_and_items(tmp_path: Path) -> None:
    study = folded(tmp_path / "s")
    table = np.zeros((4, ITEMS))
    for arm, sign in (("trt", 1), ("rate", -1)):
        for name, run in study.finished(arm).items():
            assert run.folder is not None
            with np.load(run.folder / "test_items.npz") as kept:
                table[int(name) // FOLDS, kept["items"]] += sign * kept["correct"][-1].astype(float)
    expected = mixed_model(table)
    found = over_recordings(study, "trt", "rate", step=-1)
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    section = recordings_section(study)
    assert section is not None
    assert section.tables[0].rows[0][0] == "trt"
    plain = load_study(make_study(tmp_path / "plain"))
    assert recordings_section(plain) is None


def test_partitions_that_lack_a_fold_or_its_items_are_left_out(tmp_path: Path) -> None:
    study = folded(tmp_path / "s")
    whole = over_recordings(study, "trt", "rate", step=None)
    later = replace(study, runs=[run for run in study.runs if int(run.replicate) >= FOLDS])
    wanted = over_recordings(later, "trt", "rate", step=None)
    assert wanted is not None
    lacks = [run for run in study.runs if (run.arm, int(run.replicate)) != ("rate", 0)]
    found = over_recordings(replace(study, runs=lacks), "trt", "rate", step=None)
    assert found == wanted != whole
    # One arm's items alone are no difference.
    for run in study.runs:
        if run.arm == "rate" and run.folder is not None:
            (run.folder / "test_items.npz").unlink()
    assert over_recordings(study, "trt", "rate", step=None) is None


def test_the_overlap_counts_what_is_set_aside(tmp_path: Path) -> None:
    """Of 100: 25 set aside, 25 tested, 75 left, a tenth of them for validation."""
    study = folded(tmp_path / "s", 2)
    assert training_overlap(study) == pytest.approx(25 / (75 * 0.9))
