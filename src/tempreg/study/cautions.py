"""cautions.csv: what limits what runs' accuracies say, a row a run and sentence.

It is made of the runs' summaries, and stays when their folders go; a study of runs without any has
none.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tempreg.files import write_text
from tempreg.report.reading import read_json, read_rows
from tempreg.study.files import CAUTIONS
from tempreg.study.results import StudyData
from tempreg.training.run_directory import RunDirectory

COLUMNS = ("arm", "replicate", "caution")
_TOLD = 3
"""Sentences that are told; more of them say the same of other draws of the parts, mostly."""


def write_cautions(study: StudyData, folder: Path) -> None:
    """Replace cautions.csv, where the folder of every finished run is there."""
    rows = []
    for arm in study.arms:
        for run in study.finished(arm.name).values():
            if run.folder is None or not (path := RunDirectory(run.folder).summary).is_file():
                return
            said = read_json(path).get("cautions") or []
            rows += [(run.arm, run.replicate, str(sentence)) for sentence in said]
    if not rows:
        (folder / CAUTIONS).unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *rows])
    write_text(folder / CAUTIONS, text.getvalue())


def caution_sentences(study: StudyData) -> list[str]:
    """Each different caution once, with how many runs it is of; the most frequent first."""
    path = study.folder / CAUTIONS
    if not path.is_file():
        return []
    runs: dict[str, int] = {}
    for row in read_rows(path, COLUMNS):
        runs[row["caution"]] = runs.get(row["caution"], 0) + 1
    finished = sum(len(study.finished(arm.name)) for arm in study.arms)
    found = []
    for sentence, count in sorted(runs.items(), key=lambda item: -item[1]):
        whose = "all runs" if count == finished else f"{count} of {finished} runs"
        found.append(f"Of {whose}: {sentence.removesuffix('.')}.")
    more = len(found) - _TOLD
    if more > 0:
        found[_TOLD:] = [f"And {more} more such remarks, in {CAUTIONS}."]
    return found
