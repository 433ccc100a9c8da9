"""The tables of docs/performance.md: what the CSV file says, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.table import NOTHING, filled

from tempreg.bench.results import Results

PAGE = "Before.\n<!-- table: lif, time -->\nold\n<!-- end -->\nAfter.\n"


def rows() -> list[dict[str, str]]:
    results = Results("lif")
    results.times("T 4", {"ours": [0.004, 0.005], "ReLU": [0.002, 0.002]}, "ReLU")
    results.single("first call", "cold", "ours", 1.25, "s")
    return [{name: str(value) for name, value in vars(row).items()} for row in results.rows]


def test_a_table_has_the_rows_of_its_part_and_measure() -> None:
    page = filled(PAGE, rows())
    assert page.startswith("Before.\n")
    assert page.endswith("After.\n")
    assert "| T 4 | ours / ReLU | 2 | 2.25 (2.12 to 2.38), 2 rounds | 4 ms |" in page
    assert "old" not in page
    assert "1.25" not in page
    assert filled(page, rows()) == page
    single = filled(PAGE.replace("time", "first call"), rows())
    assert "| cold | ours | 1.25 s |" in single


def test_a_ratio_stands_beside_the_earlier_one() -> None:
    earlier = Results("lif")
    earlier.times("T 4", {"ours": [0.008, 0.008], "ReLU": [0.002, 0.002]}, "ReLU")
    earlier.times("T 8", {"ours": [0.008, 0.008], "ReLU": [0.002, 0.002]}, "ReLU")
    before = [{name: str(value) for name, value in vars(row).items()} for row in earlier.rows]
    page = filled(PAGE.replace("table:", "before:"), rows(), before)
    assert "| T 4 | ours / ReLU | 4 (4) | 2 (2.25) |" in page
    assert "T 8" not in page
    assert NOTHING in filled(PAGE.replace("table:", "before:"), rows(), [])


def test_nothing_measured_is_said() -> None:
    assert NOTHING in filled(PAGE, [])


def test_the_page_is_what_the_results_say() -> None:
    script = Path(__file__).parents[3] / "benchmarks" / "table.py"
    assert subprocess.run([sys.executable, str(script), "--check"], check=False).returncode == 0
