"""Runs, studies and weights from strangers: what they hold is refused in a sentence."""

from __future__ import annotations

import csv
import html
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tempreg.analysis.fisher import Fisher
from tempreg.analysis.result import Result, ResultError
from tempreg.config import RunConfig, read_config
from tempreg.data import load_dataset
from tempreg.models import create_model, load_weights
from tempreg.models.weights import WeightsError
from tempreg.report.reading import ReportError
from tempreg.runs.build import build_model
from tempreg.runs.calibrate import calibration_of, curve_of
from tempreg.runs.observers import observer_for
from tempreg.runs.page import write_run_report
from tempreg.runs.predict import stored_network
from tempreg.study.page.report import write_study_report
from tempreg.study.plan.arms import Arm
from tempreg.study.plan.plan import StudyError, make_plan
from tempreg.study.slurm import write_jobs
from tempreg.training.run_directory import RunDirectory, RunDirectoryError
from tests.fuzz.targets.texts import CALIBRATED
from tests.study_folder import make_study

OLD_RUN = Path(__file__).parents[2] / "data" / "old_run"


HUGE = "9" * 400


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("summary.json", r'"epochs": \d+', f'"epochs": {HUGE}'),
        ("summary.json", r'"epochs": \d+', f'"epochs": {"9" * 5000}'),
        ("metrics.jsonl", r'"loss": [\d.]+', f'"loss": {HUGE}'),
        ("metrics.jsonl", r'"loss": [\d.]+', '"loss": 1e999'),
        ("analysis/fisher.json", r'"per_step": \[\s*[\d.]+', '"per_step": [-1e308'),
        ("analysis/fisher.json", r'"centroid": 2.5', f'"centroid": -{HUGE}'),
        ("analysis/fisher.json", r'"per_step": \[\s*[\d.]+', f'"per_step": [{HUGE}'),
        ("analysis/fisher_over_training.jsonl", r'"epoch": 1', f'"epoch": {HUGE}'),
        ("analysis/fisher_over_training.jsonl", r'"epoch": 1', '"epoch": Infinity'),
        ("analysis/fisher_over_training.jsonl", r'"epoch": 1', '"epoch": ' + "[" * 10_000),
    ],
)
def test_numbers_in_a_report_that_are_none(tmp_path: Path, name: str, old: str, new: str) -> None:
    run = make_study(tmp_path / "study", replicates=3) / "runs/0/000"
    before = (run / name).read_text()
    assert re.search(old, before)
    (run / name).write_text(re.sub(old, new, before, count=1))
    with pytest.raises(ReportError, match=rf"{Path(name).name}.* is damaged"):
        write_run_report(run)
    assert not (run / "report.html").exists()


def test_a_column_for_a_timestep_that_cannot_be(tmp_path: Path) -> None:
    study = make_study(tmp_path, replicates=3)
    text = (study / "results.csv").read_text()
    assert "accuracy_t1," in text
    (study / "results.csv").write_text(text.replace("accuracy_t1,", f"accuracy_t{HUGE},", 1))
    write_study_report(study)
    assert (study / "report.html").exists()


def test_a_result_with_numbers_no_array_can_hold(tmp_path: Path) -> None:
    names = dict.fromkeys(Fisher.__dataclass_fields__, 1)
    content = {**names, "quantity": Fisher.quantity, "version": 1}
    content[next(iter(Fisher.axes))] = [int(HUGE)]
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert issubclass(Fisher, Result)
    with pytest.raises(ResultError, match="is damaged"):
        Fisher.load(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("threshold", "0.8", HUGE),
        ("threshold", "0.8", "NaN"),
        ("temperatures", "[1.5, ", "[Infinity, "),
        ("temperatures", "[1.5, ", f"[{HUGE}, "),
        ("least_probability", "[0.01, ", '["a", '),
        ("timesteps", "[1.0, ", f"[{HUGE}, "),
    ],
)
def test_a_calibration_with_numbers_that_are_none(
    tmp_path: Path, name: str, old: str, new: str
) -> None:
    file, whole = tmp_path / "calibration.json", json.dumps(CALIBRATED)
    file.write_text(whole)
    assert calibration_of(tmp_path)
    assert curve_of(tmp_path)
    assert f'"{name}": {old}' in whole
    file.write_text(whole.replace(f'"{name}": {old}', f'"{name}": {new}'))
    read = curve_of if name == "timesteps" else calibration_of
    with pytest.raises(RunDirectoryError, match=r"calibration\.json is damaged \((?!.*damaged)"):
        read(tmp_path)


def test_a_command_to_be_pasted_has_no_other_in_it(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", replicates=3)
    odd = "runs/0/a'; touch pwned; '"
    (study / "runs/0/000").rename(study / odd)
    rows = list(csv.DictReader((study / "results.csv").read_text().splitlines()))
    rows[0]["run"] = odd
    with (study / "results.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    write_study_report(study)
    page = html.unescape((study / "report.html").read_text())
    (command,) = re.findall(r"tempreg train .*config\.yaml.* --out again", page)
    assert shlex.split(command) == ["tempreg", "train", f"{odd}/config.yaml", "--out", "again"]


@pytest.mark.parametrize("old", ['"in_channels": 1', '"input_size": [\n    8'])
@pytest.mark.parametrize("claim", ["-1", "0", "1000000000000000000", "1e400"])
def test_a_run_of_samples_that_cannot_be(tmp_path: Path, old: str, claim: str) -> None:
    run = shutil.copytree(OLD_RUN / "run", tmp_path / "run")
    before = (run / "data.json").read_text()
    assert old in before
    (run / "data.json").write_text(before.replace(old, old[:-1] + claim, 1))
    with pytest.raises(RunDirectoryError, match=r"data\.json is damaged \(.*\): restore it"):
        stored_network(run)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("executed", "w")


def test_weights_with_code_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Trap()}, "w.pt")
    network = create_model("csnn", num_classes=3, num_steps=1, in_channels=1, input_size=8)
    with pytest.raises(WeightsError, match="holds objects that may run code") as error:
        load_weights(network, "w.pt")
    assert "weights_only" not in str(error.value), "no advice to load it all the same"
    assert not Path("executed").exists()


@pytest.mark.parametrize("text", [b"\xff\n", b"[" * 10_000 + b"\n", b"3\n", b'{"epoch": "x"}\n'])
def test_damaged_measurements_while_training(tmp_path: Path, text: bytes) -> None:
    config = replace(read_config(OLD_RUN / "run" / "config.yaml"), fisher_every=1)
    data = load_dataset("npz", num_steps=config.num_steps, path=OLD_RUN / "own.npz")
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "fisher_over_training.jsonl").write_bytes(text)
    observe = observer_for(config, data, RunDirectory(tmp_path))
    with pytest.raises(RunDirectoryError, match="delete it to go on"):
        observe(1, build_model(config, data))


@pytest.mark.parametrize("name", ["a\ntouch pwned", 'a"; touch pwned; "'])
def test_job_files_hold_no_lines_from_a_folders_name(tmp_path: Path, name: str) -> None:
    arms = [Arm("rate", {"objective.name": "rate"})]
    plan = make_plan("x", RunConfig(), arms, 2, trials=0, analyses=(), samples=4)
    with pytest.raises(StudyError, match="can't name"):
        write_jobs(plan, tmp_path / name, options=(), jobs=None)
    assert not list(tmp_path.iterdir())
