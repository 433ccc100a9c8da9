"""`tempreg bench` as a user has it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tempreg.cli.main import main
from tests.conftest import CommandLine


def test_a_quick_part_prints_ratios_and_keeps_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "penalty", "--quick", "--out", str(tmp_path / "found.csv")]) == 0
    assert "loop" in capsys.readouterr().out
    with (tmp_path / "found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    time = next(r for r in rows if r["measure"] == "time" and r["a"] == "loop")
    assert time["b"] == "tempreg"
    assert float(time["ratio"]) > 1
    assert float(time["lower"]) <= float(time["median"]) <= float(time["upper"])
    assert any(r["a"] == "penalty" and r["b"] == "training step" for r in rows)
    assert [path.name for path in tmp_path.iterdir()] == ["found.csv"]


def test_requests_that_cannot_be_met(tempreg: CommandLine) -> None:
    for words, said in (
        (("bench", "steps"), "did you mean 'step'?"),
        (("bench", "--resume"), "--resume needs --out"),
        (("bench", "lif", "--out", "nowhere/found.csv"), "there is no folder nowhere"),
    ):
        done = tempreg(*words)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
