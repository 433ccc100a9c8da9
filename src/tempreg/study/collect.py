"""What a study measured, gathered from its runs' folders: results.csv and costs.csv.

results.csv has a row a run with everything that repeats bit for bit; costs.csv has time and
memory, which never do. Both can be made again from the folders alone, at any time.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from tempreg.files import write_text
from tempreg.study.columns import analysis_columns
from tempreg.study.driver import failed_mark
from tempreg.study.plan import Plan, Run
from tempreg.training.run_directory import RunDirectory

COSTS = ("seconds", "peak_memory_mb")
_NOT_MEASURED = ("settings", *COSTS)

Row = dict[str, Any]


def collect(plan: Plan, root: Path, chosen: dict[str, dict[str, Any]]) -> list[Row]:
    """A row a run, in the order of the plan: arm, seed, split, status, then what was measured."""
    return [_row(plan, root, run) for run in plan.runs(root, chosen)]


def write_results(rows: list[Row], root: Path) -> None:
    """Replace results.csv and costs.csv."""
    identity = ("arm", "replicate")
    measured = [{k: v for k, v in row.items() if k not in COSTS} for row in rows]
    costs = [{k: row.get(k, "") for k in (*identity, *COSTS)} for row in rows]
    write_text(root / "results.csv", _csv(measured))
    write_text(root / "costs.csv", _csv(costs))


def _row(plan: Plan, root: Path, run: Run) -> Row:
    config = plan.config(run)
    split = f"{config.data.split_seed}"
    if config.data.folds:
        split += f".{config.data.fold}"
    folder = run.folder.relative_to(root).as_posix()
    row: Row = {"arm": run.arm, "replicate": run.replicate, "seed": config.seed, "split": split}
    directory = RunDirectory(run.folder)
    failure = failed_mark(run)
    if failure.exists():
        return {
            **row,
            "status": "failed",
            "error": failure.read_text(encoding="utf-8").strip(),
            "run": folder,
        }
    if not directory.summary.exists():
        return {**row, "status": "missing", "error": "", "run": folder}
    summary = directory.read_json(directory.summary)
    row |= {"status": "finished", "error": "", "run": folder}
    for name, value in summary.items():
        if name == "accuracy_per_step":
            row |= {f"accuracy_t{t}": v for t, v in enumerate(value, start=1)}
        elif name not in _NOT_MEASURED:
            row[name] = value
    row |= analysis_columns(run.folder)
    return row | {name: summary[name] for name in COSTS}


def _csv(rows: list[Row]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
