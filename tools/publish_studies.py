"""Publishes finished studies under docs/study: report, results, command, and a table of claims.

    python tools/publish_studies.py NAME=STUDY_FOLDER ...

Checkpoints and per-run files stay where they are. docs/study/claims.md and the README's table,
between its two markers, are written anew from the studies named.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tempreg.files import write_text
from tempreg.study.claims import Claim, claims
from tempreg.study.comparison import compare_arms
from tempreg.study.report import write_study_report
from tempreg.study.results import StudyData, load_study

ROOT = Path(__file__).parents[1]
KEPT = ("report.html", "results.csv", "costs.csv", "study.yaml", "chosen.json")
BEGIN, END = "<!-- claims: begin -->\n", "<!-- claims: end -->\n"


def main(words: list[str]) -> None:
    studies = {}
    for word in words:
        name, _, folder = word.partition("=")
        studies[name] = publish(name, Path(folder))
    table = claims_table(studies)
    sentences = "".join(
        f"## {name}\n\n[The whole report]({name}/report.html), made by\n\n"
        f"    {study.facts['command']}\n\n"
        + "".join(f"- {claim.sentence}\n" for claim in made)
        + "\n"
        for name, (study, made) in studies.items()
    )
    head = "# The paper's claims, as our studies have them\n\n"
    write_text(ROOT / "docs/study/claims.md", f"{head}{table}\n{sentences}".rstrip() + "\n")
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    write_text(readme, f"{before}{BEGIN}{table}{END}{after}")


def publish(name: str, source: Path) -> tuple[StudyData, list[Claim]]:
    """Copy what is kept of a study; returns it with its claims."""
    write_study_report(source)
    target = ROOT / "docs/study" / name
    target.mkdir(parents=True, exist_ok=True)
    for file in KEPT:
        if (source / file).exists():
            shutil.copyfile(source / file, target / file)
    study = load_study(source)
    write_text(target / "command", f"{study.facts['command']}\n")
    return study, claims(study, compare_arms(study))


def claims_table(studies: dict[str, tuple[StudyData, list[Claim]]]) -> str:
    """Claims by data: verdict, and the difference with its 95% interval."""
    first = next(iter(studies.values()))[1]
    lines = [["Claim of the paper", *studies], ["---"] * (len(studies) + 1)]
    for i, claim in enumerate(first):
        cells = [made[i] for _, made in studies.values()]
        lines.append([claim.text, *(f"{c.verdict}: {c.figure or '-'}" for c in cells)])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    main(sys.argv[1:])
