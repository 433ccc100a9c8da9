"""A study's report: one page and two tables, from the files in its folder alone."""

from __future__ import annotations

import shlex
from pathlib import Path

from tempreg.files import write_text
from tempreg.report.page import Page, Section, write_page
from tempreg.report.reading import read_json
from tempreg.report.single import NAME, environment_section
from tempreg.report.svg import page_style
from tempreg.report.text_tables import latex, markdown
from tempreg.study.claims import claims
from tempreg.study.comparison import Comparison, compare_arms
from tempreg.study.measured import (
    costs_section,
    curves_section,
    others_section,
    quantity_sections,
    splits_section,
    timesteps_section,
)
from tempreg.study.penalty import penalty_section
from tempreg.study.results import StudyData, load_study
from tempreg.study.sections import (
    arms_section,
    limits_section,
    results_section,
    results_table,
    summary_section,
    unfinished_section,
)
from tempreg.study.sweeps import sweeps_section


def write_study_report(folder: Path) -> list[Path]:
    """Replace report.html, results.md and results.tex; returns their paths.

    Raises:
        ReportError: the study's files are missing or damaged.
    """
    study = load_study(folder)
    comparisons = compare_arms(study)
    table = results_table(study, comparisons)
    paths = [folder / name for name in (NAME, "results.md", "results.tex")]
    with page_style():
        page = study_page(study, comparisons)
        write_page(page, paths[0])
    write_text(paths[1], markdown(table))
    write_text(paths[2], latex(table))
    return paths


def study_page(study: StudyData, comparisons: list[Comparison]) -> Page:
    """The report; call it inside `report.svg.page_style`."""
    optional = (sweeps_section(study), penalty_section(study))
    others = others_section(study)
    sections = [
        summary_section(study, comparisons, claims(study, comparisons)),
        arms_section(study),
        results_section(study, comparisons),
        *(section for section in optional if section),
        timesteps_section(study),
        curves_section(study),
        splits_section(study),
        *quantity_sections(study),
        *([others] if others else []),
        costs_section(study),
        unfinished_section(study),
        limits_section(study, comparisons),
        _repeat_section(study),
        *_environment_sections(study),
    ]
    source = study.facts.get("source")
    lead = "Spiking networks trained in different ways, compared run by run" + (
        f"; settings from {source}." if source else "."
    )
    return Page(f"Study: {study.folder.resolve().name}", lead, sections)


def _repeat_section(study: StudyData) -> Section:
    command = study.facts.get("command")
    code = [str(command)] if command else []
    texts = [] if command else ["The command that began this study was not recorded."]
    run = next((run for run in study.runs if run.folder and run.folder.is_dir()), None)
    if run is not None and run.folder is not None:
        place = run.folder.relative_to(study.folder.resolve()).as_posix()
        texts.append("A single run is repeated from its own settings, and this report from files:")
        code.append(f"tempreg train {shlex.quote(f'{place}/config.yaml')} --out again")
        code.append("tempreg report .")
    return Section("How to repeat it", texts, code=code)


def _environment_sections(study: StudyData) -> list[Section]:
    """Of the first finished run; the others' are in their folders."""
    for run in study.runs:
        if run.folder is not None and (path := run.folder / "environment.json").is_file():
            facts = read_json(path)
            facts.pop("command", None)  # the study's stands under "How to repeat it"
            return [environment_section(facts)]
    return [Section("Environment", ["Not recorded."])]
