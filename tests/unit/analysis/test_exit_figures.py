"""The table of docs/early.md is what benchmarks/results/exit_guarantee.csv has."""

from __future__ import annotations

import csv
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_row_is_that_of_the_file() -> None:
    with (ROOT / "benchmarks/results/exit_guarantee.csv").open(newline="") as file:
        measured = list(csv.DictReader(file))
    page = (ROOT / "docs/early.md").read_text(encoding="utf-8").split("| Drawn |")[1]
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    rows = [line.strip("| ").split(" | ") for line in lines][1:]
    assert len(rows) == len(measured) == 15
    for row, of in zip(rows, measured, strict=True):
        assert row[1:] == [
            f"`{of['run'].split('/')[2]}`",
            f"{int(of['held_out']):,}",
            f"{int(of['drawn']):,}",
            of["risk"],
            f"{float(of['missed_population']):.3f}",
            f"{float(of['timesteps']):.2f} of {of['of']}",
            f"{float(of['accuracy']):.2%}",
            f"{float(of['accuracy_at_exit']):.2%}",
        ]
        assert float(of["missed_population"]) <= float(of["delta"])
