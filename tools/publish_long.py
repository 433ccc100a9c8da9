"""Publishes studies of long training in docs/study/long, and writes the tables of its page anew.

    python tools/publish_long.py [NAME=STUDY_FOLDER ...]

Of each study it keeps its report, plan, choices, results, and which test items every run got right;
docs/study/long.md is words by hand and, between two marks, the tables of all that is published.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from long_figure import draw, draw_parts

from tempreg.files import write_text
from tempreg.study.packed import write_packed
from tempreg.study.page.confirmatory import confirmatory_sentence
from tempreg.study.page.recordings import recordings_section
from tempreg.study.page.report import write_study_report
from tempreg.study.page.words import points
from tempreg.study.results import StudyData, load_study, training_overlap
from tempreg.study.statistics.comparison import accuracy_margin, beside
from tempreg.study.statistics.effects import Effect, effects
from tempreg.study.statistics.paired import Paired, holm, mean_sd, paired
from tempreg.study.statistics.reading import read_difference, within

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/study/long.md"
PARTS = PAGE.with_suffix("") / "parts.svg"
TITLES = {"fashion": "Fashion-MNIST", "nmnist": "N-MNIST", "cifar": "CIFAR-10 (JPEG)"}
"""In the order of the page."""
MARK = "<!-- the tables, by tools/publish_long.py -->\n"
KEPT = ("report.html", "results.csv", "costs.csv", "trials.csv", "study.yaml", "chosen.json")
ENDPOINTS = {"last timestep": "test_accuracy", "mean over timesteps": "mean_accuracy_over_steps"}
"""What is read; p adjusted over both and the rows of a table."""
BESIDE = {
    "first timestep": "accuracy_t1",
    "training": "train_accuracy",
    "training minus test": "generalization_gap",
}
"""Intervals alone."""
RIVALS = ("trt", "step+mse+l2n")
"""What a better objective would have to beat at both endpoints."""


def main(words: list[str]) -> None:
    for word in words:
        name, _, folder = word.partition("=")
        publish(Path(folder), PAGE.with_suffix("") / name)
    found = studies()
    for name, study in found.items():
        draw(study, PAGE.with_suffix("") / name / "arms.svg")
    draw_parts({TITLES[name]: study for name, study in found.items()}, PARTS)
    write_text(PAGE, page(PAGE.read_text(encoding="utf-8")))


def publish(source: Path, target: Path) -> None:
    """Copy what is kept, and pack the items; of the folder that a command names, its last part,
    and of one of data that lies beside the checkout, where it lies from there."""
    write_study_report(source)
    target.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copyfile(source / name, target / name)
    beside = f"{ROOT.parent}/"
    for name in ("study.yaml", "report.html"):
        text = (target / name).read_text(encoding="utf-8").replace(f"{source.parent}/", "")
        text = text.replace(beside, "../")
        write_text(target / name, re.sub(r"(--out\s+)[^\s<&]*/", r"\1", text))
    write_packed(load_study(source), target)


def studies() -> dict[str, StudyData]:
    folder = PAGE.with_suffix("")
    return {name: load_study(folder / name) for name in TITLES if (folder / name).is_dir()}


def page(text: str) -> str:
    """The page with its tables as they should be."""
    before, _, after = text.split(MARK)
    tables = "\n".join(
        part for name, study in studies().items() for part in of_study(name, study) if part
    )
    return f"{before}{MARK}\n{tables}\n{MARK}{after}"


def of_study(name: str, study: StudyData) -> Iterator[str]:
    yield f"### {name}\n"
    yield _standing(study) + "\n"
    yield main_effects(study)
    yield arms(study)
    yield rivals(study)
    yield other_recordings(study)


def _standing(study: StudyData) -> str:
    """The confirmatory test, once every run is there; until then, how many are."""
    planned, left = len(study.arms) * len(study.replicates), len(study.unfinished())
    if left:
        whole = min(len(study.finished(arm.name)) for arm in study.arms)
        done, seeds = planned - left, len(study.replicates)
        return (
            f"**An interim look**: {done} of {planned} runs are finished, {whole} of {seeds} seeds "
            "with every arm. The confirmatory test waits for the last one."
        )
    return confirmatory_sentence(study) or "No confirmatory test."


def main_effects(study: StudyData) -> str:
    """Of the parts of objectives, in all pairs of arms that differ in one alone."""
    read = {name: effects(study, column) for name, column in ENDPOINTS.items()}
    adjusted = iter(holm([effect.test.p for found in read.values() for effect in found]))
    cells = {
        name: [_read(study, e.differences, e.test, next(adjusted)) for e in found]
        for name, found in read.items()
    }
    for name, column in BESIDE.items():
        cells[name] = [_interval(e.differences, e.test.overlap) for e in effects(study, column)]
    rows = [_named(effect) for effect in read["last timestep"]]
    table = [
        [*row, *line] for row, line in zip(rows, zip(*cells.values(), strict=True), strict=True)
    ]
    return "What each part does:\n\n" + markdown(["Part", "Pairs", *cells], table)


def arms(study: StudyData) -> str:
    """Every arm minus the reference, whose own figures are the first row."""
    columns, margin = {**ENDPOINTS, **BESIDE}, accuracy_margin(study)
    own = [mean_sd(list(study.values(study.reference, c).values())) for c in columns.values()]
    rows = [[f"`{study.reference}`, %", *(f"{100 * m:.2f} ± {100 * sd:.2f}" for m, sd in own)]]
    found = {c: beside(study, study.reference, c, margin) for c in columns.values()}
    for arm in (a.name for a in study.arms if a.name != study.reference):
        row = [f"`{arm}`"]
        for column in columns.values():
            other = found[column][arm]
            word = f"{other.reading}: " if column in ENDPOINTS.values() else ""
            differences = study.differences(arm, study.reference, column)
            row.append(word + _interval(differences, other.test.overlap))
        rows.append(row)
    return f"Arms, minus `{study.reference}`:\n\n" + markdown(["Arm", *columns], rows)


def rivals(study: StudyData) -> str:
    """Whether an arm beats both of `RIVALS` at both endpoints."""
    names, overlap = [arm.name for arm in study.arms], training_overlap(study)
    if not set(RIVALS) <= set(names):
        return ""
    rows = []
    for arm in (n for n in names if n not in RIVALS):
        found = [
            study.differences(arm, rival, column)
            for rival in RIVALS
            for column in ENDPOINTS.values()
        ]
        better = "yes" if all(paired(d, overlap=overlap).low > 0 for d in found) else "no"
        rows.append([f"`{arm}`", *(_interval(d, overlap) for d in found), better])
    heads = [f"minus `{rival}`, {name}" for rival in RIVALS for name in ENDPOINTS]
    text = (
        "Better than TRT and than L2 of the same norm, at both endpoints (intervals above 0)?\n\n"
    )
    return text + markdown(["Arm", *heads, "Better"], rows)


def other_recordings(study: StudyData) -> str:
    """Every arm minus the reference by the mixed model, where every partition tests all items."""
    section = recordings_section(study)
    if section is None:
        return ""
    (table,) = section.tables
    rows = [[f"`{arm}`", *cells] for arm, *cells in table.rows]
    text = (
        f"For other recordings and partitions, minus `{study.reference}` (a mixed model of both):"
    )
    return f"{text}\n\n" + markdown(["Arm", *ENDPOINTS], rows)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _named(effect: Effect) -> list[str]:
    return [effect.part.name, ", ".join(f"`{a}` - `{b}`" for a, b in effect.pairs)]


def _read(study: StudyData, differences: list[float], test: Paired, p: float) -> str:
    margin = accuracy_margin(study)
    reading = read_difference(test, within(differences, margin, test.overlap), margin, p=p)
    return f"{reading}: {_interval(differences, test.overlap)}"


def _interval(differences: list[float], overlap: float) -> str:
    """The interval that decides; where that is corrected for overlap, the plain one behind it."""
    test, plain = paired(differences, overlap=overlap), paired(differences)
    said = f"{points(test.mean)} ({points(test.low)} to {points(test.high)})"
    return f"{said}, plain {points(plain.low)} to {points(plain.high)}" if overlap else said


if __name__ == "__main__":
    main(sys.argv[1:])
