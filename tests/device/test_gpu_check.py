"""The dry run of `make gpu-check`: every part of it, on a device that isn't there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.gpu import peers
from benchmarks.gpu_check import PARTS, RESULTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"


def test_every_part_in_a_dry_run_that_writes_nothing(tmp_path: Path) -> None:
    def kept() -> list[bytes | None]:
        return [path.read_bytes() if path.exists() else None for path in (RESULTS, PAGE)]

    before = kept()
    words = [sys.executable, "-m", "benchmarks.gpu_check", "--dry-run"]
    words += ["--out", str(tmp_path / "found.jsonl")]
    child = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stdout + child.stderr
    assert kept() == before
    assert (tmp_path / "found.jsonl").read_text() == child.stdout
    lines = [json.loads(text) for text in child.stdout.splitlines()]
    assert all(line["dry run"] is True for line in lines)
    assert [line["part"] for line in lines if line["what"] == "the part"] == [*PARTS]
    for part in PARTS:  # each has found something, but for what isn't installed
        assert any(line["part"] == part and "left out" not in line for line in lines[:-1]), part
    rows = [line["row"] for line in lines if "row" in line]
    assert {row["part"] for row in rows} == {
        "gpu_lif", "gpu_penalty", "gpu_step", "gpu_peers", "gpu_memory",
    }  # fmt: skip
    assert all("dry run" in row["processor"] for row in rows)
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"<!-- table: {row['part']}, {row['measure']} -->" in page for row in rows)
    told = {line["what"].partition(":")[0] for line in lines if line["part"] == "peers"}
    assert peers.WAYS.keys() <= told
