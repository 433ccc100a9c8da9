"""What limits the runs' accuracies stands on the study's page, and in its table's terminal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tempreg.cli.main import main
from tests.study_folder import make_study

SAID = "not a test of another session: all 30 samples of class 'owl' are of one, so test is a {}"


def limited(study: Path, runs: str, sentence: str) -> int:
    paths = list(study.glob(f"runs/{runs}/summary.json"))
    for path in paths:
        summary = json.loads(path.read_text())
        summary.setdefault("cautions", []).append(sentence)
        path.write_text(json.dumps(summary))
    return len(paths)


def test_cautions_are_told_and_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(tmp_path / "study", effects={"rate": 0.0, "trt": 0.02}, replicates=3)
    assert main(["report", str(study)]) == 0
    assert not (study / "cautions.csv").exists()
    assert limited(study, "*/*", SAID.format("stretch")) == 6
    limited(study, "0/000", "<b>another")
    capsys.readouterr()
    assert main(["report", str(study)]) == 0
    said = capsys.readouterr().out
    first = f"Of all runs: {SAID.format('stretch')}."
    assert said.index(first) < said.index("Of 1 of 6 runs: <b>another.")
    page = (study / "report.html").read_text()
    overview = page[page.index("<h2") :].split("</section>")[0]
    assert "Of all runs: not a test of another session" in overview
    assert "Of 1 of 6 runs: &lt;b&gt;another." in overview
    rows = (study / "cautions.csv").read_text().splitlines()
    assert rows[0] == "arm,replicate,caution"
    assert len(rows) == 8
    shutil.rmtree(study / "runs")
    assert main(["report", str(study)]) == 0
    assert first in capsys.readouterr().out


def test_many_are_not_all_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(tmp_path / "study", effects={"rate": 0.0, "trt": 0.02}, replicates=3)
    for place in range(6):
        limited(study, f"{place // 3}/00{place % 3}", SAID.format(place))
    assert main(["report", str(study)]) == 0
    said = capsys.readouterr().out
    assert said.count("Of 1 of 6 runs: not a test") == 3
    assert "And 3 more such remarks, in cautions.csv." in said
