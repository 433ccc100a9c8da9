"""`tempreg report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempreg.cli.parser import Parser
from tempreg.errors import one_line

if TYPE_CHECKING:
    from tempreg.study.collect import Row
    from tempreg.study.plan.plan import Plan


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg report",
        description="Make the report of a study or a run again, from its files alone; of a "
        "study that isn't finished, of what there is.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the study's or the run's folder")
    folder = parser.parse(words).folder

    from tempreg.report.reading import ReportError
    from tempreg.study.files import PLAN
    from tempreg.training.run_directory import RunDirectory

    if (folder / PLAN).is_file():
        _study(folder)
    elif RunDirectory(folder).config.is_file():
        from tempreg.runs.page import write_run_report

        print(write_run_report(folder))
    else:
        raise ReportError(f"{folder} holds neither a study (study.yaml) nor a run (config.yaml)")
    return 0


def _study(folder: Path) -> None:
    """Of a study whose runs are there, finished or not, as they are now; else of its tables."""
    from tempreg.study.collect import has_all_its_runs

    if not has_all_its_runs(folder):
        return _shown(folder)
    from tempreg.study.driver import decided
    from tempreg.study.plan.plan import read_plan

    plan = read_plan(folder)
    rows = reported(plan, folder, decided(plan, folder))
    done = sum(row["status"] == "finished" for row in rows)
    if done < len(rows):
        print(f"{done} of {len(rows)} runs are finished: tempreg compare --out {folder} goes on")


def reported(plan: Plan, root: Path, chosen: dict[str, dict[str, Any]]) -> list[Row]:
    """Gather the results, write the report, and show them; returns a row a run."""
    from tempreg.study.collect import collect, write_results

    rows = collect(plan, root, chosen)
    write_results(rows, root)
    _shown(root)
    return rows


def _shown(root: Path) -> None:
    """Write the report, and say what is in it and where it is."""
    from tempreg.study.page.report import write_study_report

    written = write_study_report(root)
    print(written.table)
    for caution in written.cautions:
        print(one_line(caution))
    for path in written.paths:
        print(path)
