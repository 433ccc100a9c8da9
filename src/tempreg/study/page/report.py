"""A study's report: one page and two tables, from the files in its folder alone."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tempreg.files import write_text
from tempreg.report.page import Page, Section, write_page
from tempreg.report.reading import read_json
from tempreg.report.svg import page_style
from tempreg.report.text_tables import latex, markdown, text
from tempreg.runs.page import NAME, environment_section
from tempreg.study.cautions import caution_sentences, write_cautions
from tempreg.study.packed import write_packed
from tempreg.study.page.claims import claims
from tempreg.study.page.effects import effects_section
from tempreg.study.page.growth import growth_commands, growth_sentences
from tempreg.study.page.measured import (
    costs_section,
    curves_section,
    splits_section,
    timesteps_section,
)
from tempreg.study.page.opening import lead
from tempreg.study.page.overview import overview_section
from tempreg.study.page.penalty import penalty_section
from tempreg.study.page.quantities import others_section, quantity_sections
from tempreg.study.page.recordings import recordings_section
from tempreg.study.page.sections import (
    arms_section,
    claims_section,
    limits_section,
    narrow,
    results_section,
    results_table,
    unfinished_section,
)
from tempreg.study.page.sweeps import sweeps_section
from tempreg.study.page.words import NOT_MEASURED
from tempreg.study.results import StudyData, load_study
from tempreg.study.statistics.comparison import Comparison, compare_arms
from tempreg.study.tidy import write_curves
from tempreg.training.run_directory import RunDirectory


@final
@dataclass(frozen=True)
class Written:
    """A report that was written.

    Attributes:
        paths: its files, the page first.
        table: what stands in them of every arm, for a terminal.
        cautions: what limits what it says, a sentence each.
    """

    paths: list[Path]
    table: str
    cautions: list[str]


def write_study_report(folder: Path) -> Written:
    """Replace report.html, results.md and results.tex, and items.npz, curves.csv and cautions.csv
    where the runs' folders are there.

    Raises:
        ReportError: the study's files are missing or damaged.
    """
    study = load_study(folder)
    write_packed(study, folder)
    write_curves(study, folder)
    write_cautions(study, folder)
    comparisons = compare_arms(study)
    table = results_table(study, comparisons)
    paths = [folder / name for name in (NAME, "results.md", "results.tex")]
    with page_style():
        page = study_page(study, study_sections(study, comparisons))
        write_page(page, paths[0])
    write_text(paths[1], markdown(table))
    write_text(paths[2], latex(table))
    return Written(paths, text(narrow(table)), caution_sentences(study))


def study_sections(study: StudyData, comparisons: list[Comparison]) -> list[Section]:
    """All sections, those of what was not measured too; call it inside `report.svg.page_style`."""
    optional = (
        effects_section(study),
        recordings_section(study),
        sweeps_section(study),
        penalty_section(study),
    )
    others, made = others_section(study), claims(study, comparisons)
    return [
        overview_section(study, comparisons, made),
        results_section(study, comparisons),
        claims_section(made),
        arms_section(study),
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


def study_page(study: StudyData, sections: list[Section]) -> Page:
    """The report of these sections."""
    return Page(f"Study: {study.folder.resolve().name}", lead(study), without_empty(sections))


def without_empty(sections: list[Section]) -> list[Section]:
    """The sections that have something to show, and one that names the others in a line."""
    empty = [s.title for s in sections if s.paragraphs == [NOT_MEASURED]]
    shown = [section for section in sections if section.title not in empty]
    if empty:
        shown.append(Section("Not measured", [f"Not measured in this study: {', '.join(empty)}."]))
    return shown


def _repeat_section(study: StudyData) -> Section:
    command = study.facts.get("command")
    code = [*([str(command)] if command else []), *growth_commands(study)]
    texts = [] if command else ["The command that began this study was not recorded."]
    texts += growth_sentences(study)
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
        if run.folder is not None and (path := RunDirectory(run.folder).environment).is_file():
            facts = read_json(path)
            facts.pop("command", None)  # the study's stands under "How to repeat it"
            return [environment_section(facts)]
    return [Section("Environment", ["Not recorded."])]
