"""Publishes studies of which a page shows tables alone, and writes those tables anew.

    python tools/publish_tables.py [PAGE/NAME=STUDY_FOLDER ...]

A study of docs/study/PAGE.md is docs/study/PAGE/NAME: its study.yaml and results.csv, as `tempreg
compare` leaves them. The page is words by hand and, between two marks, the tables of its studies,
those with the same arms together.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tempreg.files import write_text
from tempreg.study.page.temporal import FIRST_LAST, first_last_changes
from tempreg.study.results import StudyData, load_study
from tempreg.study.statistics.comparison import equality_margin
from tempreg.study.statistics.paired import Paired, holm, mean_sd, paired, tost
from tempreg.study.statistics.reading import read_difference

DOCS = Path(__file__).parents[1] / "docs/study"
MARK = "<!-- the table, by tools/publish_tables.py -->\n"
MEASURES = {
    "last timestep": "test_accuracy",
    "averaged over timesteps": "mean_accuracy_over_steps",
    "first timestep": "accuracy_t1",
    "train minus test": "generalization_gap",
}
HALF = "-bf16"
"""How an arm in bf16 is called, after the same in float32."""
Studies = dict[str, StudyData]


def main(words: list[str]) -> None:
    for word in words:
        place, _, folder = word.partition("=")
        publish(Path(folder), DOCS / place)
    for path in pages():
        write_text(path, page(path, path.read_text(encoding="utf-8")))


def publish(source: Path, target: Path) -> None:
    """Copy what is kept; of the folder that its command names, the last part."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "results.csv", target / "results.csv")
    text = (source / "study.yaml").read_text(encoding="utf-8")
    write_text(target / "study.yaml", re.sub(r"(--out\s+)[^\s]*/", r"\1", text))


def pages() -> list[Path]:
    return [path for path in sorted(DOCS.glob("*.md")) if MARK in path.read_text(encoding="utf-8")]


def page(path: Path, text: str) -> str:
    """The page with its tables as they should be."""
    studies = {p.name: load_study(p) for p in sorted(path.with_suffix("").iterdir())}
    groups: dict[tuple[str, ...], Studies] = {}
    for name, study in studies.items():
        groups.setdefault(tuple(arm.name for arm in study.arms), {})[name] = study
    parts = [
        kind(group)
        for names, group in groups.items()
        for kind in ((rounded,) if _in_bf16(names) else (differences, penalty, gradients))
    ]
    before, _, after = text.split(MARK)
    tables = "\n".join(filter(None, parts))
    return f"{before}{MARK}\n{tables}\n{MARK}{after}"


def differences(studies: Studies) -> str:
    arms = [f"`{name}` minus `rate`" for name in _others(studies)]
    rows = [row for name, study in studies.items() for row in _differences(name, study)]
    return _table(["Study", "Measure", "`rate`, %", *arms], rows)


def _differences(name: str, study: StudyData) -> Iterator[list[str]]:
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
            cells.append(f"{_points(test)}: {word}")
        yield [name, measure, f"{100 * base:.2f}", *cells]


def _in_bf16(names: Iterable[str]) -> dict[str, str]:
    """The arms that are another one in bf16, and that."""
    return {name: name.removesuffix(HALF) for name in names if name.endswith(HALF)}


def rounded(studies: Studies) -> str:
    """Every arm in bf16 minus the same in float32; not adjusted."""
    pairs = _in_bf16(_others(studies))
    head = ["Study", "Measure", *(f"`{half}` minus `{full}`" for half, full in pairs.items())]
    rows = []
    for name, study in studies.items():
        margin = equality_margin(study)
        for measure, column in MEASURES.items():
            cells = []
            for half, full in pairs.items():
                d = study.differences(half, full, column)
                test, equal = paired(d), tost(d, margin)
                cells.append(f"{_points(test)}: {read_difference(test, equal, margin)}")
            rows.append([name, measure, *cells])
    return _table(head, rows)


def penalty(studies: Studies) -> str:
    """What TRT's penalty adds to `step+mse`, and what a strong one adds to the published one, by
    study; not adjusted. "" without these arms."""
    found = _others(studies)
    pairs = {
        "The penalty alone": ("trt", "step+mse"),
        "The penalty, 100 times as strong": ("strong-trt", "trt"),
    }
    parts = []
    for title, (arm, other) in pairs.items():
        if not {arm, other} <= {*found}:
            continue
        rows = [
            [name, measure, _points(paired(study.differences(arm, other, column)))]
            for name, study in studies.items()
            for measure, column in MEASURES.items()
        ]
        head = ["Study", "Measure", f"`{arm}` minus `{other}`"]
        parts.append(f"{title}:\n\n{_table(head, rows)}")
    return "\n".join(parts)


def gradients(studies: Studies) -> str:
    """How far the arms' own losses reach back, beside `rate`; "" where that wasn't measured."""
    if not all(s.values(s.reference, FIRST_LAST.column) for s in studies.values()):
        return ""
    rows = [
        [name, *(_reach(study, arm) for arm in _others(studies))] for name, study in studies.items()
    ]
    text = (
        "The gradient of the arm's own loss at the first timestep over that at the last, in orders"
    )
    arms = [f"`{name}` minus `rate`" for name in _others(studies)]
    return f"{text} of magnitude:\n\n" + _table(["Study", *arms], rows)


def _reach(study: StudyData, arm: str) -> str:
    changes = first_last_changes(study, arm, study.reference, FIRST_LAST.column)
    return _shown(paired(changes), "{:+.2f}".format)


def _others(studies: Studies) -> list[str]:
    """All arms but the reference."""
    study = next(iter(studies.values()))
    return [arm.name for arm in study.arms if arm.name != study.reference]


def _points(test: Paired) -> str:
    return _shown(test, lambda value: f"{100 * value:+.2f}")


def _shown(test: Paired, show: Callable[[float], str]) -> str:
    return f"{show(test.mean)} ({show(test.low)} to {show(test.high)})"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    main(sys.argv[1:])
