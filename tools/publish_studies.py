"""Publishes finished studies under docs/study: report, results, command, and pages of claims.

    python tools/publish_studies.py [NAME=STUDY_FOLDER ...]

Checkpoints and per-run files stay where they are. Then every page that says something of the
studies is written anew from what is published, those named now and those before: docs/study/
claims.md whole, and each report.html but for what needs the runs' folders (FROM_RUNS).
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from study_parts import parts_tables

from tempreg.files import write_text
from tempreg.report.page import Section, render
from tempreg.report.svg import page_style
from tempreg.study.files import INTERVALS as ITEMS
from tempreg.study.page.claims import Claim, claim_arms, claims
from tempreg.study.page.curves import CURVES
from tempreg.study.page.penalty import penalty_section
from tempreg.study.page.regime import regime
from tempreg.study.page.report import study_page, study_sections, write_study_report
from tempreg.study.page.words import NOT_MEASURED
from tempreg.study.results import StudyData, load_study
from tempreg.study.statistics.comparison import compare_arms
from tempreg.study.statistics.items import write_items

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "docs/study"
KEPT = ("report.html", "results.csv", "costs.csv", "study.yaml", "chosen.json")
FIGURES_FROM_RUNS = (
    "Temporal gradients",
    "Fisher information",
    "Flatness",
    "Spikes and energy",
    "Anytime behaviour",
)
"""Sections of a report whose figures need the runs' folders, and stay as they were published."""
FROM_RUNS = ("Training curves", "Environment")
"""Sections that need them for everything, and stay as they are."""
SHOWN_ARRAYS = {curve.array for curves in CURVES.values() for curve in curves}

HEAD = """# The paper's claims, as our studies have them

{regimes}

A cell is a difference, named beside it, and its 95% interval over runs, which is corrected where
runs are folds of one pool. Where it lies within ±0.5 points (two one-sided tests, p < 0.05) there
is *no relevant difference*, whether it is zero or not. Otherwise a claim is *supported*, or
*contradicted*, where the interval leaves out zero (p < 0.05; accuracy averaged over timesteps
beside the reference: adjusted over all arms) and the difference is at least 0.5 points to its
side, or to the other; anything else is *undecided*. Factors and timesteps have no such margin.
What this means in plain words is in [findings.md](findings.md). The folders of the runs aren't
kept: in the reports, training curves, the environment and the figures of analyses stay as they
were published, and all else is as tempreg writes it now.

"""
PARTS_HEAD = """## What each part of TRT does

Pairs of arms that differ in one part; `trt` is `step+mse` with the penalty. They are read by the
same rule (*higher*, *lower*), with p adjusted over the pairs of a study and measure (Holm);
intervals are not adjusted. A dash is a pair that the study lacks.

"""


def main(words: list[str]) -> None:
    for word in words:
        name, _, folder = word.partition("=")
        publish(name, Path(folder))
    for path, text in pages(PUBLISHED).items():
        write_text(path, text)


def publish(name: str, source: Path) -> None:
    """Copy what is kept of a study, and what its items say."""
    write_study_report(source)
    target = PUBLISHED / name
    target.mkdir(parents=True, exist_ok=True)
    for file in KEPT:
        if (source / file).exists():
            shutil.copyfile(source / file, target / file)
    study = load_study(source)
    treated, against, l2 = claim_arms(study)
    pairs = [(arm.name, study.reference) for arm in study.arms if arm.name != study.reference]
    pairs += [(treated, other) for other in (against, l2) if treated and other]
    (target / ITEMS).unlink(missing_ok=True)
    write_items(study, pairs, target)
    write_text(target / "command", f"{study.facts['command']}\n")


def pages(root: Path) -> dict[Path, str]:
    """Every page that is made of the studies published under `root`, as it should read."""
    studies = {p.parent.name: load_study(p.parent) for p in sorted(root.glob("*/study.yaml"))}
    found = {root / name / "report.html": renewed(study) for name, study in studies.items()}
    return {root / "claims.md": claims_page(studies), **found}


def claims_page(studies: dict[str, StudyData]) -> str:
    """The claims by study, what each part of TRT does, and every claim as a sentence."""
    made = {name: claims(s, compare_arms(s)) for name, s in studies.items()}
    regimes = "\n".join(f"- *{name}*: {regime(study)}" for name, study in studies.items())
    text = HEAD.format(regimes=regimes) + claims_table(made) + "\n"
    text += PARTS_HEAD + parts_tables(studies)
    for name, study in studies.items():
        text += f"## {name}\n\n{regime(study)} {_penalties(study)}\n\n"
        text += f"[The whole report]({name}/report.html), made by\n\n"
        text += f"    {study.facts['command']}\n\n"
        text += "".join(f"- {claim.sentence}\n" for claim in made[name]) + "\n"
    return text.rstrip() + "\n"


def renewed(study: StudyData) -> str:
    """A published report, written anew with what needs run folders as it was."""
    kept = {
        title: section
        for title, section in _sections((study.folder / "report.html").read_text("utf-8")).items()
        if title in (*FIGURES_FROM_RUNS, *FROM_RUNS) and NOT_MEASURED not in section
    }
    with page_style():
        sections = [
            Section(s.title, ["As published."]) if s.title in kept and s.title in FROM_RUNS else s
            for s in study_sections(study, compare_arms(study))
        ]
        page = render(study_page(study, sections))
    for title, section in _sections(page).items():
        if title in FROM_RUNS:
            page = page.replace(section, kept.get(title, section))
        elif title in kept:
            page = page.replace(section, _with_figures(section, kept[title]))
    return _numbered(page)


def _with_figures(section: str, published: str) -> str:
    """A section with the figures of the published one; of arrays, those that pages still show."""
    found = re.findall(r"<figure.*?</figure>", published, re.DOTALL)
    number, old = (re.findall(r'aria-labelledby="s(\d+)"', s)[0] for s in (section, published))
    ids = re.compile(rf'(?<=["#(])([fc]){old}(?=-)')
    shown = [ids.sub(rf"\g<1>{number}", figure) for figure in found if _is_shown(figure)]
    figures = "\n".join(['<div class="figures">', *shown, "</div>\n</section>"])
    return section.removesuffix("</section>") + figures


def _is_shown(figure: str) -> bool:
    """Earlier versions drew every array, and called the figure "Spikes, held-out: membrane"."""
    array = re.findall(r"<strong>[^<:]*: ([^<,.]*)", figure)
    return not array or array[0].replace(" ", "_") in SHOWN_ARRAYS


def claims_table(made: dict[str, list[Claim]]) -> str:
    """Claims by study: which difference, the verdict, and the difference with its interval."""
    first = next(iter(made.values()))
    lines = [["Claim of the paper", "Difference", *made], ["---"] * (len(made) + 2)]
    for i, claim in enumerate(first):
        cells = [of_study[i] for of_study in made.values()]
        differences = "; or ".join(dict.fromkeys(c.difference for c in cells if c.difference))
        verdicts = [f"{c.verdict}: {c.figure or '-'}" for c in cells]
        lines.append([claim.text, differences or "-", *verdicts])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _penalties(study: StudyData) -> str:
    """Which penalties changed the weights at all."""
    section = penalty_section(study)
    if section is None:
        return ""
    said = [f"`{row[0]}` {row[5]} ({row[3]}%)" for row in section.tables[0].rows]
    return "Penalties, and the change of the weights' norm that they made: " + ", ".join(said) + "."


def _sections(page: str) -> dict[str, str]:
    """A page's sections by title."""
    found = re.findall(r"<section [^>]*>\n<h2[^>]*>([^<]*)</h2>.*?\n</section>", page, re.DOTALL)
    whole = re.findall(r"<section [^>]*>\n.*?\n</section>", page, re.DOTALL)
    return dict(zip(found, whole, strict=True))


def _numbered(page: str) -> str:
    """A page whose sections, and what is in them, are numbered in their order; as its contents."""
    entries = []
    for place, (title, section) in enumerate(_sections(page).items()):
        number = re.findall(r'^<section aria-labelledby="s(\d+)"', section)[0]
        ids = re.compile(rf'(?<=["#])([stfc]){number}(?=["\-])')
        page = page.replace(section, ids.sub(rf"\g<1>{place}", section), 1)
        entries.append(f'<li><a href="#s{place}">{title}</a></li>')
    contents = "<ul>\n" + "\n".join(entries) + "\n</ul>\n</nav>"
    return re.sub(
        r"<ul>\n<li><a href=\"#s0\">.*?</ul>\n</nav>", lambda _: contents, page, flags=re.DOTALL
    )


if __name__ == "__main__":
    main(sys.argv[1:])
