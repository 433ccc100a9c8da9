"""Studies as a user runs them: complete, killed and continued, with a run that fails."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tempreg.config import read_config
from tests.conftest import CommandLine, same_weights
from tests.processes import Running, finished, studies_forked
from tests.unit.data.formats.recordings.layouts import write_recordings

pytestmark = pytest.mark.usefixtures("without_pictures")

ARMS = "step,again=step,other=step@seed=+50"
SMALL = (
    "--epochs", "2", "--num-steps", "2", "--model.channels", "[4, 8]", "--jobs", "2",
    "--analyses", "none",
)  # fmt: skip
STUDY = ("compare", "nmnist-trt", "--objectives", ARMS, "--seeds", "1", *SMALL)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def _runs_are_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    studies_forked(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was never stopped; a file beside it says how many seconds it took."""
    folder, begun = tmp_path_factory.mktemp("study"), time.monotonic()
    result = finished((*STUDY, "--out", "study"), folder)
    (folder / "seconds").write_text(str(time.monotonic() - begun))
    assert result.returncode == 0, result.stderr
    assert "3/3" in result.stdout
    return folder / "study"


def test_one_arm_under_two_names_is_one_arm(whole: Path) -> None:
    results = rows(whole / "results.csv")
    assert [(r["arm"], r["seed"], r["status"]) for r in results] == [
        ("step", "0", "finished"),
        ("again", "0", "finished"),
        ("other", "50", "finished"),
    ]
    runs = whole / "runs"
    assert same_weights(runs / "step" / "000", runs / "again" / "000")
    assert not same_weights(runs / "step" / "000", runs / "other" / "000")
    first, second = results[:2]
    assert {**first, "arm": "", "run": ""} == {**second, "arm": "", "run": ""}


def test_a_study_killed_anywhere_ends_the_same(whole: Path, tmp_path: Path) -> None:
    chance, whole_time = random.Random(0), float((whole.parent / "seconds").read_text())
    ends = []
    for _ in range(5):
        process = Running((*STUDY, "--out", "study"), tmp_path)
        time.sleep(chance.uniform(0.1, 0.7) * whole_time)
        process.kill()
        process.communicate()
        ends.append(process.returncode)
    assert -signal.SIGKILL in ends
    last = finished((*STUDY, "--out", "study"), tmp_path)
    assert last.returncode == 0, last.stderr
    expected = (whole / "results.csv").read_bytes()
    assert (tmp_path / "study" / "results.csv").read_bytes() == expected


def test_two_studies_over_one_cache_leave_each_other_alone(tmp_path: Path) -> None:
    write_recordings(tmp_path / "own")
    words = [
        "compare", "nmnist-trt", "--data.name=event-folder", "--data.path=own",
        "--data.size=16", "--objectives", "step", "--seeds", "1", *SMALL,
    ]  # fmt: skip

    def begin(study: str, cache: str) -> Running:
        return Running([*words, "--out", study], tmp_path, TEMPREG_CACHE_DIR=str(tmp_path / cache))

    studies = [begin("first", "shared"), begin("second", "shared"), begin("alone", "own cache")]
    for study in studies:
        _, errors = study.communicate()
        assert study.returncode == 0, errors
    results = {name: rows(tmp_path / name / "results.csv") for name in ("first", "second", "alone")}
    assert results["first"] == results["second"] == results["alone"]
    assert [row["status"] for row in results["alone"]] == ["finished"]
    # Without the notes of recordings that have stayed as they are for two seconds.
    kept = [
        sorted(p.name for p in (tmp_path / c).rglob("*") if p.suffix != ".content")
        for c in ("shared", "own cache")
    ]
    assert kept[0] == kept[1]  # nothing half-written is left either


def test_asked_to_stop_it_stops_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = [*STUDY, "--out", "study", "--epochs", "500"]
    process = Running(words, tmp_path, STUDIES="as they are")
    deadline = time.monotonic() + 60
    metrics = tmp_path / "study" / "runs" / "step" / "000" / "metrics.jsonl"
    while not metrics.exists() or not metrics.read_text():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues" in errors
    assert not list((tmp_path / "study").rglob("*.failed"))
    assert (tmp_path / "study" / "runs" / "step" / "000" / "checkpoints" / "last.pt").exists()


def test_a_run_that_fails_does_not_stop_the_others(
    tempreg_here: CommandLine, tmp_path: Path
) -> None:
    arms = "step,broken=trt@lam=1e200"
    words = ["compare", "nmnist-trt", "--objectives", arms, "--seeds", "1", *SMALL, "--out", "s"]
    result = tempreg_here(*words)
    assert result.returncode == 1, result.stderr
    assert "FAILED" in result.stdout
    first, second = rows(tmp_path / "s" / "results.csv")
    assert (first["status"], second["status"]) == ("finished", "failed")
    assert "not finite" in second["error"]
    again = tempreg_here(*words)  # what is finished stays, what failed is tried again
    assert "1 run was finished already" in again.stdout
    assert again.returncode == 1


def test_analyses_become_columns_and_sections(tempreg_here: CommandLine, tmp_path: Path) -> None:
    words = [*SMALL[:-1], "gradients,fisher,spikes", "--samples", "8", "--out", "s"]
    result = tempreg_here(
        "compare", "nmnist-trt", "--objectives", "rate,trt", "--seeds", "2", *words
    )
    assert result.returncode == 0, result.stderr
    for row in rows(tmp_path / "s" / "results.csv"):
        for name in (
            "gradient_decay", "fisher_centroid_first", "fisher_centroid_end", "firing_rate",
            "synaptic_operations", "energy_nj",
        ):  # fmt: skip
            assert float(row[name]) > 0
    page = (tmp_path / "s" / "report.html").read_text()
    assert "trt minus rate" in page
    assert (tmp_path / "s" / "results.tex").exists()
    again = tempreg_here(
        "compare", "nmnist-trt", "--objectives", "rate,trt", "--seeds", "2", *words
    )
    assert "4 runs were finished already" in again.stdout


def test_other_analyses_run_on_finished_runs(
    whole: Path, tempreg_here: CommandLine, tmp_path: Path
) -> None:
    """Nothing is trained again: the files of training stay as they are."""
    shutil.copytree(whole, tmp_path / "study")
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "study/runs").rglob("*") if p.is_file()}
    made = {p: time for p, time in made.items() if p.suffix in (".safetensors", ".jsonl", ".pt")}
    words = [*STUDY[:-2], "--analyses", "spikes", "--samples", "6", "--out", "study"]
    result = tempreg_here(*words)
    assert result.returncode == 0, result.stderr
    results, before = rows(tmp_path / "study" / "results.csv"), rows(whole / "results.csv")
    assert all(float(row["firing_rate"]) > 0 for row in results)
    assert {p: p.stat().st_mtime_ns for p in made} == made
    assert [{k: row[k] for k in before[0]} for row in results] == before
    assert "--analyses spikes" in (tmp_path / "study" / "report.html").read_text()


def files_of(folder: Path) -> dict[Path, bytes]:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_study_grows_by_an_arm_and_keeps_its_runs(
    whole: Path, tempreg_here: CommandLine, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "study")
    before = files_of(tmp_path / "study" / "runs")
    result = tempreg_here("compare", "--out", "study", "--add", "rate")
    assert result.returncode == 0, result.stderr
    assert "has 3 arms of 1 seeds\nadded: arms rate\n" in result.stdout
    assert "3 runs were finished already" in result.stdout
    now = files_of(tmp_path / "study" / "runs")
    assert {place: now[place] for place in before} == before  # byte for byte
    results = rows(tmp_path / "study" / "results.csv")
    assert results[:3] == rows(whole / "results.csv")
    assert (results[3]["arm"], results[3]["status"]) == ("rate", "finished")
    page = (tmp_path / "study" / "report.html").read_text()
    assert "tempreg compare --out study --add rate" in page
    again = tempreg_here(*STUDY, "--out", "study")  # as it was begun, it continues the whole of it
    assert "4 runs were finished already" in again.stdout
    assert (again.returncode, files_of(tmp_path / "study" / "runs")) == (0, now)


def test_trials_choose_before_the_runs(tempreg_here: CommandLine, tmp_path: Path) -> None:
    words = ["--objectives", "trt", "--seeds", "1", "--trials", "2", "--trial-seeds", "1", *SMALL]
    result = tempreg_here("compare", "nmnist-trt", *words, "--out", "s")
    assert result.returncode == 0, result.stderr
    scores = {}
    for folder in (tmp_path / "s/trials/trt").glob("[0-9]"):
        summary = json.loads((folder / "summary.json").read_text())
        lam = read_config(folder / "config.yaml").objective.lam
        scores[lam] = summary["val_accuracy"] + summary["val_mean_accuracy_over_steps"]
    assert len(scores) > 2  # the better of two is at an edge
    best = max(scores.values())
    chosen = json.loads((tmp_path / "s" / "chosen.json").read_text())
    lam = chosen["trt"]["objective.lam"]
    assert scores[lam] == best
    table = rows(tmp_path / "s" / "trials.csv")
    assert [float(row["objective.lam"]) for row in table if row["chosen"]] == [lam]
    assert len(table) == len(scores)
    assert read_config(tmp_path / "s/runs/trt/000/config.yaml").objective.lam == pytest.approx(lam)


def test_bad_requests(tempreg_here: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for words, sentence in (
        (["--out", "mine"], "not an empty folder"),
        (["--out", "s", "--objectives", "setp"], "did you mean 'step'"),
        (["--out", "s", "--seeds", "0"], "seeds must be >= 1"),
        (["--out", "s", "--sweep", "lam"], "expected SETTING=VALUE"),
        (["--out", "s", "--reference", "x"], "not among the arms"),
        (["--out", "s", "--analyses", "fishr"], "unknown analysis 'fishr'"),
        (["--out", "s", "--trials", "2", "--data.folds", "5"], "as with --data.reserve 0.25"),
        (["--out", "s", "--trial-seeds", "0"], "--trial-seeds must be >= 1"),
        (["--out", "s", "--draws", "0"], "--draws must be >= 1"),
        (["--out", "s", "--add", "trt"], "--add adds arms to a study, and s holds none"),
    ):
        result = tempreg_here("compare", "nmnist-trt", *words)
        assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "s").exists()
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]  # noqa: PTH208
