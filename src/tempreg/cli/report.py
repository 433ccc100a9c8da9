"""`tempreg report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tempreg.cli.parser import Parser


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg report",
        description="Make the report of a study or a run again, from its files alone.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the study's or the run's folder")
    folder = parser.parse(words).folder

    from tempreg.report.reading import ReportError

    if (folder / "study.yaml").is_file():
        from tempreg.study.report import write_study_report

        written = write_study_report(folder)
    elif (folder / "config.yaml").is_file():
        from tempreg.report.single import write_run_report

        written = [write_run_report(folder)]
    else:
        raise ReportError(f"{folder} holds neither a study (study.yaml) nor a run (config.yaml)")
    for path in written:
        print(path)
    return 0
