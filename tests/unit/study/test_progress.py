"""What a study says before, while and after it runs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tempreg.cli.main import main
from tempreg.config import PRESETS, RunConfig
from tempreg.files import write_json
from tempreg.report.table import Table
from tempreg.report.text_tables import text
from tempreg.runs import train
from tempreg.study import progress
from tempreg.study.announced import plan_lines
from tempreg.study.plan.arms import parse_arms
from tempreg.study.plan.growing import write_plan
from tempreg.study.plan.plan import Plan, make_plan
from tempreg.study.progress import Doing, StudyProgress, last_epoch


def plan(base: RunConfig | None = None, **options: object) -> Plan:
    config = base or replace(PRESETS["nmnist-trt"](), epochs=2)
    return make_plan("nmnist-trt", config, parse_arms("rate,trt"), 3, **options)


def test_the_plan_is_said_with_what_is_there(tmp_path: Path) -> None:
    study = plan(trials=2, analyses=("spikes",), samples=64)
    done = study.runs(tmp_path, {})[0]
    done.folder.mkdir(parents=True)
    write_json(done.folder / "summary.json", {})
    assert plan_lines(study, tmp_path, 2) == [
        f"{tmp_path}: 2 arms x 3 seeds = 6 runs of 2 epochs, 2 at once",
        "arms: rate, trt; compared with rate",
        "before: 8 trials on 2 seeds of their own, and more where the best is at an edge",
        "after each run: spikes (64 samples)",
        "trained already: 1 run",
    ]
    longer = make_plan("x", study.base, parse_arms("rate@epochs=9"), 1)
    assert plan_lines(longer, tmp_path, 1)[0].endswith(
        "1 arm x 1 seed = 1 run of 9 epochs, 1 at once"
    )


def test_what_goes_on_is_said_now_and_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    study = plan(trials=1)
    trial, run = study.trial_runs(tmp_path)[0], study.runs(tmp_path, {})[1]
    run.folder.mkdir(parents=True)
    metrics = run.folder / "metrics.jsonl"
    doing = [Doing(trial, "train", 5), Doing(run, "train", 2)]
    told = StudyProgress()
    told.begin(2, 6, 2)
    told.update(doing)
    assert capsys.readouterr().out == ""
    metrics.write_text('{"epoch": 1, "split": "train"}\n{"epoch": 2, "spl')
    now[0] = progress.EVERY
    told.update(doing)
    told.update(doing)  # once
    assert capsys.readouterr().out == "  trial rate 0-0: epoch 1 of 5; trt 000: epoch 2 of 2\n"
    metrics.write_text('{"epoch": 2}\n')
    assert doing[1].words() == "trt 000: being tested"
    assert Doing(run, "analyze", 2).words() == "trt 000: being analysed"
    told.ended(trial, None, 60)
    told.ended(run, None, 600)
    # one trial of a minute and five runs of ten, two at once
    assert capsys.readouterr().out.splitlines() == [
        "1/8  trial rate 0-0  done  (60 s, 4 min left)",
        "2/8  trt 000  done  (600 s, 26 min left)",
    ]


def test_metrics_that_are_being_written_are_no_trouble(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    assert last_epoch(file) == 0
    for content, epoch in (("", 0), ('{"epo', 0), ("[]\n", 0), ('{"epoch": 3}\n{"', 3)):
        file.write_text(content)
        assert last_epoch(file) == epoch
    file.write_text("".join(f'{{"epoch": {i}, "x": "{"y" * 900}"}}\n' for i in range(1, 90)))
    assert last_epoch(file) == 89


def test_a_study_is_reported_before_it_is_finished(
    tiny: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "s"
    study = plan(replace(tiny, seed=0))
    root.mkdir()
    write_plan(study, root)
    assert main(["report", str(root)]) == 0  # nothing was trained
    assert f"0 of 6 runs are finished: tempreg compare --out {root}" in capsys.readouterr().out
    for run in study.runs(root, {})[:2]:
        if run.arm == "rate":
            train(study.config(run), run.folder)
        else:
            shutil.copytree(study.runs(root, {})[0].folder, run.folder)
    assert main(["report", str(root)]) == 0
    out = capsys.readouterr().out
    assert "2 of 6 runs are finished" in out
    assert [line.split()[:2] for line in out.splitlines()[2:4]] == [["rate", "1"], ["trt", "1"]]
    page = (root / "report.html").read_text()
    assert "missing" in page
    # Without its runs' folders a study has its tables, and these are not made again.
    shutil.rmtree(root / "runs")
    before = (root / "results.csv").read_bytes()
    assert main(["report", str(root)]) == 0
    assert (root / "results.csv").read_bytes() == before


def test_a_table_in_a_terminal() -> None:
    table = Table("Accuracy", ["Arm", "Runs"], [["rate", "3"], ["a b", "10"]], frozenset({1}))
    assert text(table) == "Accuracy\nArm   Runs\nrate     3\na b     10"
