"""`tempreg report` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_commands import QUICK
from tests.conftest import CommandLine, said
from tests.study_folder import make_study


def test_of_a_study(tempreg: CommandLine, tmp_path: Path) -> None:
    make_study(tmp_path / "study", failed="out of memory")
    result = tempreg("report", "study")
    assert result.returncode == 0, result.stderr
    names = ["report.html", "results.md", "results.tex"]
    *table, page, markdown, latex = result.stdout.splitlines()
    assert [page, markdown, latex] == [f"study/{name}" for name in names]
    assert table[1].split()[:2] == ["Arm", "Runs"]
    assert [line.split()[0] for line in table[2:]] == [
        "rate",
        "step",
        "step+mse+l2",
        "trt",
        "anytime",
    ]
    assert "out of memory" in (tmp_path / "study" / "report.html").read_text()
    assert not list((tmp_path / "study").glob(".*"))


def test_of_a_run_that_was_trained(tempreg: CommandLine, tmp_path: Path) -> None:
    trained = tempreg("train", "nmnist-trt", *QUICK, "--out", "run")
    assert trained.returncode == 0, trained.stderr
    result = tempreg("report", "run")
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "run" / "report.html").read_text()
    assert "tempreg train nmnist-trt --epochs 1" in text
    assert "Test accuracy by timestep" in text
    assert "not finished" not in text


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (None, "", "x holds neither a study (study.yaml) nor a run (config.yaml)"),
        ("study.yaml", "3", "doesn't describe a study"),
        ("config.yaml", "seed: 0", "x has no environment.json"),
    ],
)
def test_bad_requests(
    tempreg: CommandLine, tmp_path: Path, name: str | None, content: str, sentence: str
) -> None:
    (tmp_path / "x").mkdir()
    if name:
        (tmp_path / "x" / name).write_text(content)
    result = tempreg("report", "x")
    assert result.returncode == 2
    assert sentence in result.stderr
    assert len(said(result.stderr)) == 1
    assert not list((tmp_path / "x").glob("*.html"))
