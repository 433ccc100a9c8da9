"""The tables of docs/early.md are what the files in benchmarks/results have."""

from __future__ import annotations

import csv
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_row_is_that_of_the_file() -> None:
    with (ROOT / "benchmarks/results/exit_guarantee.csv").open(newline="") as file:
        measured = list(csv.DictReader(file))
    page = (
        (ROOT / "docs/early.md").read_text(encoding="utf-8").split("| Drawn |")[1].split("\n\n")[0]
    )
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


def test_every_time_is_that_of_the_file() -> None:
    with (ROOT / "benchmarks/results/time_to_answer.csv").open(newline="") as file:
        measured = {(row["run"], row["what"]): row for row in csv.DictReader(file)}
    page = (ROOT / "docs/early.md").read_text(encoding="utf-8").split("| Answers after |")[1]
    lines = [line for line in page.split("\n\n")[0].splitlines() if line.startswith("| `")]
    rows = [line.strip("| ").split(" | ") for line in lines]
    ways = ("C until it answers", "C", "Stream until it answers", "Stream", "PyTorch at once")
    assert len(rows) * len(ways) == len(measured)
    for name, after, *times in rows:
        of = [measured[name.strip("`"), way] for way in ways]
        assert after == f"{float(of[0]['timesteps']):.2f} of {of[0]['of']}"
        assert times == [row["median_ms"] for row in of]
