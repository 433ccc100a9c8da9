"""Writes the table of docs/study/networks.md from the studies published in docs/study/networks.

    python tools/publish_networks.py

A study there is its study.yaml and results.csv, as `tempreg compare` leaves them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tempreg.files import write_text
from tempreg.study.results import StudyData, load_study
from tempreg.study.statistics.comparison import equality_margin
from tempreg.study.statistics.paired import holm, mean_sd, paired, tost
from tempreg.study.statistics.reading import read_difference

PAGE = Path(__file__).parents[1] / "docs/study/networks.md"
MARK = "<!-- the table, by tools/publish_networks.py -->\n"
MEASURES = {
    "last timestep": "test_accuracy",
    "averaged over timesteps": "mean_accuracy_over_steps",
    "first timestep": "accuracy_t1",
    "train minus test": "generalization_gap",
}


def lines(name: str, study: StudyData) -> Iterator[str]:
    """The arms' differences by measure, p adjusted over the arms (Holm)."""
    for measure, column in MEASURES.items():
        base = mean_sd(list(study.values(study.reference, column).values()))[0]
        pairs = {
            arm.name: study.differences(arm.name, study.reference, column)
            for arm in study.arms
            if arm.name != study.reference
        }
        tests = {arm: paired(d) for arm, d in pairs.items()}
        adjusted = holm([test.p for test in tests.values()])
        margin, cells = equality_margin(study), []
        for p, (arm, test) in zip(adjusted, tests.items(), strict=True):
            word = read_difference(test, tost(pairs[arm], margin), margin, p=p)
            figures = (100 * value for value in (test.mean, test.low, test.high))
            cells.append("{:+.2f} ({:+.2f} to {:+.2f}): {}".format(*figures, word))
        yield f"| {name} | {measure} | {100 * base:.2f} | {' | '.join(cells)} |"


def penalty(studies: dict[str, StudyData]) -> str:
    """What TRT's penalty adds to `step+mse`, by study; not adjusted."""
    rows = ["| Study | Measure | `trt` minus `step+mse` |", "| --- | --- | --- |"]
    for name, study in studies.items():
        for measure, column in MEASURES.items():
            test = paired(study.differences("trt", "step+mse", column))
            figures = (100 * value for value in (test.mean, test.low, test.high))
            rows.append(
                "| {} | {} | {:+.2f} ({:+.2f} to {:+.2f}) |".format(name, measure, *figures)
            )
    return "\n".join(rows) + "\n"


def table() -> str:
    studies = {p.name: load_study(p) for p in sorted(PAGE.with_suffix("").iterdir())}
    arms = [f"`{a.name}` minus `rate`" for a in next(iter(studies.values())).arms[1:]]
    head = ["Study", "Measure", "`rate`, %", *arms]
    rows = [row for name, study in studies.items() for row in lines(name, study)]
    rule = "| " + " | ".join("---" for _ in head) + " |"
    whole = "\n".join(["| " + " | ".join(head) + " |", rule, *rows])
    return f"{whole}\n\nThe penalty alone:\n\n{penalty(studies)}"


def page(text: str) -> str:
    """The page with its table as it should be."""
    before, _, after = text.split(MARK)
    return f"{before}{MARK}\n{table()}\n{MARK}{after}"


if __name__ == "__main__":
    write_text(PAGE, page(PAGE.read_text(encoding="utf-8")))
