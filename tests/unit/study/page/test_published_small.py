"""Pages that show tables alone say what their CSV files say: by SciPy alone, and by their tool."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from tests.unit.study.page.published import ROOT
from tests.unit.study.page.published_pages import FIGURE

DOCS = ROOT / "docs" / "study"
MARK = "<!-- the table, by tools/publish_tables.py -->"
PAGES = [path for path in sorted(DOCS.glob("*.md")) if MARK in path.read_text()]
IN_FULL = [page for page in PAGES if page.stem != "precision"]
"""Those in float32."""
COLUMNS = {
    "last timestep": "test_accuracy",
    "averaged over timesteps": "mean_accuracy_over_steps",
    "first timestep": "accuracy_t1",
    "train minus test": "generalization_gap",
}
GRADIENTS = (
    "The gradient of the arm's own loss at the first timestep over that at the last, in orders of "
    "magnitude:"
)
DIFFERENCES = "| Study | Measure | `rate`, % |"


def values(page: Path, study: str, arm: str, column: str) -> np.ndarray:
    with (page.with_suffix("") / study / "results.csv").open(newline="") as file:
        found = [r for r in csv.DictReader(file) if r["arm"] == arm]
    assert [r["status"] for r in found] == ["finished"] * (10 if page.stem == "precision" else 5)
    return np.array([float(r[column]) for r in sorted(found, key=lambda r: r["replicate"])])


def tables(page: Path, title: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Of each table whose head or the text before it begins so: its arms, and its rows."""
    blocks = page.read_text().split(MARK)[1].strip().split("\n\n")
    for before, block in pairwise(["", *blocks]):
        if block.startswith("|") and title in (before, block[: len(title)]):
            head, _, *rows = [line.strip("| ").split(" | ") for line in block.splitlines()]
            arms = [re.findall("`(.+?)` minus", name)[0] for name in head if " minus " in name]
            yield arms, rows


def figure(d: np.ndarray, scale: float = 100.0) -> str:
    low, high = stats.ttest_1samp(d, 0).confidence_interval()
    return f"{scale * d.mean():+.2f} ({scale * low:+.2f} to {scale * high:+.2f})"


@pytest.mark.parametrize("page", IN_FULL, ids=lambda page: page.stem)
def test_every_difference_is_that_of_scipy(page: Path) -> None:
    found = [(arms, *row) for arms, rows in tables(page, DIFFERENCES) for row in rows]
    assert len(found) == 4 * len([*page.with_suffix("").iterdir()])
    for arms, study, measure, base, *cells in found:
        reference = values(page, study, "rate", COLUMNS[measure])
        assert base == f"{100 * reference.mean():.2f}"
        each = [values(page, study, arm, COLUMNS[measure]) - reference for arm in arms]
        raw = [float(stats.ttest_1samp(d, 0).pvalue) for d in each]
        for p, d, cell in zip(multipletests(raw, method="holm")[1], each, cells, strict=True):
            said, word = cell.split(": ")
            assert said == figure(d)
            assert p < 0.05 or word not in ("higher", "lower")


def test_bf16_beside_float32_is_that_of_statsmodels() -> None:
    page = DOCS / "precision.md"
    ((arms, rows),) = tables(page, "| Study | Measure | `rate-bf16`")
    assert arms == ["rate-bf16", "trt-bf16"]
    assert len(rows) == 4 * len([*page.with_suffix("").iterdir()])
    for study, measure, *cells in rows:
        for arm, cell in zip(arms, cells, strict=True):
            pair = (values(page, study, a, COLUMNS[measure]) for a in (arm, arm[: -len("-bf16")]))
            d = np.subtract(*pair)
            said, word = cell.split(": ")
            assert said == figure(d)
            equal = DescrStatsW(d).ttost_mean(-0.005, 0.005)[0] < 0.05
            assert (word == "no relevant difference") == equal


@pytest.mark.parametrize(("name", "studies"), [("networks", 4), ("deeper", 1)])
def test_the_penalty_alone_leaves_zero_inside(name: str, studies: int) -> None:
    page = DOCS / f"{name}.md"
    ((_, rows),) = tables(page, "The penalty alone:")
    assert len(rows) == 4 * studies
    for study, measure, cell in rows:
        pair = (values(page, study, arm, COLUMNS[measure]) for arm in ("trt", "step+mse"))
        d = np.subtract(*pair)
        assert cell == figure(d)
        low, high = stats.ttest_1samp(d, 0).confidence_interval()
        assert low < 0 < high  # as the page says in words


def test_what_a_stronger_penalty_adds_is_that_of_scipy() -> None:
    page = DOCS / "time.md"
    ((arms, rows),) = tables(page, "The penalty, 100 times as strong:")
    assert arms == ["strong-trt"]
    assert len(rows) == 4 * 4
    for study, measure, cell in rows:
        pair = (values(page, study, arm, COLUMNS[measure]) for arm in ("strong-trt", "trt"))
        assert cell == figure(np.subtract(*pair))


@pytest.mark.parametrize("page", [p for p in PAGES if GRADIENTS in p.read_text()], ids=str)
def test_gradients_are_logarithms_of_ratios(page: Path) -> None:
    found = [(arms, *row) for arms, rows in tables(page, GRADIENTS) for row in rows]
    assert len(found) == len([*page.with_suffix("").iterdir()])
    for arms, study, *cells in found:
        reach = {
            a: np.log10(values(page, study, a, "gradient_first_last")) for a in ("rate", *arms)
        }
        assert cells == [figure(reach[arm] - reach["rate"], 1) for arm in arms]


@pytest.mark.parametrize(
    ("name", "readme"),
    [("time", ""), ("time", "Where the answer needs time"), ("deeper", ""), ("precision", "")],
)
def test_figures_in_words_are_those_of_the_tables(name: str, readme: str) -> None:
    _, published, words = (DOCS / f"{name}.md").read_text().split(MARK)
    if readme:
        words = (ROOT / "README.md").read_text().split(readme)[1].split("\n## ")[0]
    found = re.findall(FIGURE, " ".join(words.split()))
    assert len(found) >= 2
    assert [one for one in found if one not in published] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tables_are_what_the_tool_writes(page: Path) -> None:
    code = (
        "import sys, publish_tables as p; f = p.Path(sys.argv[1]); print(p.page(f, f.read_text()))"
    )
    words = [sys.executable, "-c", code, str(page)]
    tools = str(Path(ROOT / "tools"))
    done = subprocess.run(words, cwd=tools, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stderr)
    assert done.stdout == page.read_text() + "\n"


def test_bf16_was_compared_where_nothing_was_left_to_learn() -> None:
    text = " ".join((DOCS / "precision.md").read_text().split())
    for study, what in (("fashion", "images"), ("nmnist", "recordings")):
        trained = share("precision.md", study, "train_accuracy")
        assert f"`rate` ends at {trained:.1%} of its training {what}" in text


def share(page: str, study: str, column: str, arm: str = "rate") -> float:
    return float(values(DOCS / page, study, arm, column).mean())


def shorter(page: str, study: str, than: str) -> float:
    return 1 - share(page, study, "weight_norm", "trt") / share(page, study, "weight_norm", than)


def test_what_the_pages_say_of_training_and_of_the_weights() -> None:
    deeper, time = (" ".join((DOCS / f).read_text().split()) for f in ("deeper.md", "time.md"))
    assert f"ends at {share('deeper.md', 'vggsnn', 'train_accuracy'):.1%} of its" in deeper
    assert f"end {shorter('deeper.md', 'vggsnn', 'step+mse'):.0%} shorter" in deeper
    gap, motion = (share("time.md", s, "train_accuracy") for s in ("gap-4", "motion"))
    assert f"ends at {gap:.1%} of its training images on `gap-4` and at {motion:.1%} on" in time
    for study in ("gap-4", "motion"):
        assert f"end {shorter('time.md', study, 'step'):.0%} shorter than with `step`" in time
