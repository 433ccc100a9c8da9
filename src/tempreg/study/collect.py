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
from tempreg.report.reading import read_rows
from tempreg.study.columns import analysis_columns
from tempreg.study.files import BASE, COSTS, RESULTS
from tempreg.study.plan.plan import Plan, Run, failed_mark
from tempreg.training.run_directory import RunDirectory

SPENT = ("seconds", "peak_memory_mb")
_BY_STEP = {f"{name}_per_step": name for name in ("accuracy", "r2", "mse")}
_NOT_MEASURED = ("settings", *SPENT)

Row = dict[str, Any]


def collect(plan: Plan, root: Path, chosen: dict[str, dict[str, Any]]) -> list[Row]:
    """A row a run, in the order of the plan: arm, seed, split, status, then what was measured."""
    return [_row(plan, root, run) for run in plan.runs(root, chosen)]


def has_all_its_runs(root: Path) -> bool:
    """Whether results.csv can be made again of the runs' folders without losing a row.

    A study may have been published, or moved, without them: then its tables are all there is.
    """
    if not (root / BASE).exists():
        return False
    table = root / RESULTS
    if not table.exists():
        return True
    finished = [row for row in read_rows(table, ("status",)) if row["status"] == "finished"]
    places = [row.get("run", "") for row in finished]
    return all(place and RunDirectory(root / place).summary.exists() for place in places)


def write_results(rows: list[Row], root: Path) -> None:
    """Replace results.csv and costs.csv."""
    identity = ("arm", "replicate")
    measured = [{k: v for k, v in row.items() if k not in SPENT} for row in rows]
    costs = [{k: row.get(k, "") for k in (*identity, *SPENT)} for row in rows]
    write_text(root / RESULTS, _csv(measured))
    write_text(root / COSTS, _csv(costs))


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
        if name in _BY_STEP:
            row |= {f"{_BY_STEP[name]}_t{t}": v for t, v in enumerate(value, start=1)}
        elif name not in _NOT_MEASURED and not isinstance(value, (str, list, dict)):
            row[name] = value
    row |= analysis_columns(run.folder)
    return row | {name: summary[name] for name in SPENT}


def _csv(rows: list[Row]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
