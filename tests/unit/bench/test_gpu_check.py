"""`make gpu-check` where there is no GPU: its parts on the CPU, and when it stops."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks import gpu_check
from benchmarks.gpu import correctness, times

from tempreg.bench.results import COLUMNS
from tests.conftest import needs_compiler

ROOT = Path(__file__).parents[3]


def test_without_a_gpu_it_says_so_and_writes_nothing(tmp_path: Path) -> None:
    if __import__("torch").cuda.is_available():
        pytest.skip("there is a GPU here")
    words = [sys.executable, "-m", "benchmarks.gpu_check", "--out", str(tmp_path / "a.jsonl")]
    child = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert child.returncode == 1
    assert "no NVIDIA GPU is here" in json.loads(child.stdout)["said"]
    assert not list(tmp_path.iterdir())


@needs_compiler
def test_what_it_checks_holds_on_a_cpu() -> None:
    found = list(correctness.checks("cpu"))
    assert [what for what, ok, _ in found if not ok] == []
    assert {"penalty torch.float64", "analysis fisher", "lif torch.float32 T 17"} <= {
        what for what, _, _ in found
    }


@needs_compiler
def test_it_notices_a_kernel_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    right = correctness.lif
    monkeypatch.setattr(correctness, "lif", lambda x, **rest: right(x * 1.01, **rest))
    failed = {what for what, ok, _ in correctness._lif("cpu") if not ok}
    assert "lif torch.float32 T 4" in failed


@needs_compiler
def test_times_are_rows_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "ROUNDS", 2)
    rows = times.rows("cpu")
    assert {row.part for row in rows} == {"gpu_lif", "gpu_penalty", "gpu_step"}
    assert all(isinstance(row.a_value, float) and row.a_value > 0 for row in rows)
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert all(f"<!-- table: {row.part}, {row.measure} -->" in page for row in rows)
    assert set(vars(rows[0])) == set(COLUMNS)


def scripted(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> list[str]:
    """Parts that answer so; the names of those that were begun."""
    begun: list[str] = []

    def run(command: list[str], timeout: float, **_: Any) -> Any:
        part = command[command.index("--part") + 1]
        begun.append(part)
        answer = answers.get(part, '{"what": "x", "ok": true}\n')
        if answer is None:
            raise subprocess.TimeoutExpired(command, timeout, b'{"what": "x", "ok": true}\n')
        return SimpleNamespace(stdout=answer, returncode=0)

    monkeypatch.setattr(gpu_check.subprocess, "run", run)
    return begun


@pytest.mark.parametrize(("answers", "parts", "code"), [
    ({}, [*gpu_check.TIME_OUTS], 0),
    ({"correctness": '{"what": "x", "ok": false}\n'}, ["correctness"], 1),
    ({"correctness": ""}, ["correctness"], 1),  # it said nothing at all
    ({"correctness": None}, ["correctness"], 1),  # it took too long
    ({"times": None}, [*gpu_check.TIME_OUTS], 1),
], ids=str)  # fmt: skip
def test_it_stops_where_correctness_fails(
    answers: dict[str, Any], parts: list[str], code: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    begun = scripted(monkeypatch, answers)
    out = tmp_path / "a.jsonl"
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--dry-run", "--out", str(out)])
    assert gpu_check.main() == code
    assert begun == parts
    assert [json.loads(line)["part"] for line in out.read_text().splitlines()][-1] == parts[-1]


def test_it_fits_into_eight_minutes() -> None:
    assert sum(gpu_check.TIME_OUTS.values()) < 480
