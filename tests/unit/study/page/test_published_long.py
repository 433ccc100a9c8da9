"""docs/study/long.md says what its CSV files say: by SciPy alone, and by its tool."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from scipy import stats

from tests.unit.study.page.published import MARGIN, ROOT, holm
from tests.unit.study.page.published_pages import FIGURE, table

PAGE = ROOT / "docs" / "study" / "long.md"
MARK = "<!-- the tables, by tools/publish_long.py -->\n"
COLUMNS = {
    "last timestep": "test_accuracy",
    "mean over timesteps": "mean_accuracy_over_steps",
    "first timestep": "accuracy_t1",
    "training": "train_accuracy",
    "training minus test": "generalization_gap",
}
READ = ("last timestep", "mean over timesteps")
STUDIES = sorted(p.name for p in PAGE.with_suffix("").iterdir() if p.is_dir())
Values = dict[str, float]


@cache
def values(study: str, arm: str, column: str) -> Values:
    """Of the finished runs, by repetition."""
    with (PAGE.with_suffix("") / study / "results.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["arm"] == arm and r["status"] == "finished"]
    return {r["replicate"]: float(r[column]) for r in rows if r[column]}


def differences(study: str, pairs: list[tuple[str, str]], column: str) -> NDArray[np.float64]:
    """The mean over the pairs, of each repetition that all of them have."""
    both = [(values(study, a, column), values(study, b, column)) for a, b in pairs]
    shared = set.intersection(*({*a} & {*b} for a, b in both))
    means = [np.mean([a[name] - b[name] for a, b in both]) for name in sorted(shared)]
    return np.array(means)


@cache
def overlap(study: str) -> float:
    """Test size over training size, where training sets are folds of one pool."""
    text = (PAGE.with_suffix("") / study / "study.yaml").read_text()
    data = yaml.safe_load(text)["base"]["data"]
    if not data.get("folds"):
        return 0.0
    tested = (1 - data["reserve"]) / data["folds"]
    return float(tested / ((1 - tested) * (1 - data["validation"])))


def error(study: str, d: NDArray[np.float64]) -> float:
    """Of the mean: Nadeau and Bengio's (2003), the plain one where nothing overlaps."""
    return float(d.std(ddof=1) * np.sqrt(1 / len(d) + overlap(study)))


def p_value(study: str, d: NDArray[np.float64]) -> float:
    return float(2 * stats.t.sf(abs(d.mean()) / error(study, d), len(d) - 1))


def low(study: str, d: NDArray[np.float64]) -> float:
    return float(d.mean() - stats.t.ppf(0.975, len(d) - 1) * error(study, d))


def figure(study: str, d: NDArray[np.float64]) -> str:
    half = stats.t.ppf(0.975, len(d) - 1) * error(study, d)
    said = (
        f"{100 * d.mean():+.2f} ({100 * (d.mean() - half):+.2f} to {100 * (d.mean() + half):+.2f})"
    )
    if not overlap(study):
        return said
    plain = stats.ttest_1samp(d, 0).confidence_interval()
    return f"{said}, plain {100 * plain.low:+.2f} to {100 * plain.high:+.2f}"


def reading(study: str, d: NDArray[np.float64], p: float) -> str:
    """The rule as docs/studies.md states it."""
    nearest = (MARGIN - abs(d.mean())) / error(study, d)
    if stats.t.sf(nearest, len(d) - 1) < 0.05:
        return "no relevant difference"
    if p < 0.05 and abs(d.mean()) >= MARGIN:
        return "higher" if d.mean() > 0 else "lower"
    return "undecided"


def part(study: str, title: str) -> tuple[list[str], list[list[str]]]:
    text = PAGE.read_text().split(MARK)[1].split(f"### {study}\n")[1].split("\n### ")[0]
    return table(text.split(title)[1])


@pytest.mark.parametrize("study", STUDIES)
def test_arms(study: str) -> None:
    head, (own, *rows) = part(study, "Arms, minus `rate`:")
    for name, cell in zip(head[1:], own[1:], strict=True):
        rate = np.array([*values(study, "rate", COLUMNS[name]).values()])
        assert cell == f"{100 * rate.mean():.2f} ± {100 * rate.std(ddof=1):.2f}"
    for place, name in enumerate(head[1:], 1):
        pairs = [[(row[0].strip("`"), "rate")] for row in rows]
        found = [differences(study, pair, COLUMNS[name]) for pair in pairs]
        adjusted = holm([p_value(study, d) for d in found])
        for row, d, p in zip(rows, found, adjusted, strict=True):
            word = f"{reading(study, d, p)}: " if name in READ else ""
            assert row[place] == word + figure(study, d)


@pytest.mark.parametrize("study", STUDIES)
def test_parts(study: str) -> None:
    head, rows = part(study, "What each part does:")
    pairs = [re.findall(r"`(\S+)` - `(\S+)`", row[1]) for row in rows]
    cells = {name: [row[head.index(name)] for row in rows] for name in head[2:]}
    found = {n: [differences(study, pair, COLUMNS[n]) for pair in pairs] for n in cells}
    tests = [p_value(study, d) for name in READ for d in found[name]]
    adjusted = iter(holm(tests))
    for name, column in cells.items():
        for cell, d in zip(column, found[name], strict=True):
            word = f"{reading(study, d, next(adjusted))}: " if name in READ else ""
            assert cell == word + figure(study, d)


WITH_L2 = [name for name in STUDIES if values(name, "step+mse+l2n", "test_accuracy")]


@pytest.mark.parametrize("study", WITH_L2)
def test_what_is_better_than_trt_and_l2(study: str) -> None:
    head, rows = part(study, "at both endpoints (intervals above 0)?")
    for row in rows:
        arm, *cells, better = row
        lows = []
        for title, cell in zip(head[1:-1], cells, strict=True):
            rival, name = re.findall(r"minus `(\S+)`, (.*)", title)[0]
            d = differences(study, [(arm.strip("`"), rival)], COLUMNS[name])
            assert cell == figure(study, d)
            lows.append(low(study, d))
        assert better == ("yes" if min(lows) > 0 else "no")


@pytest.mark.parametrize("page", ["docs/study/long.md", "README.md"])
def test_figures_in_words_are_those_of_the_tables(page: str) -> None:
    words, tables, after = PAGE.read_text().split(MARK)
    text = words + after
    if page == "README.md":
        text = (ROOT / page).read_text().split("## What long training shows")[1].split("\n## ")[0]
    found = re.findall(FIGURE, " ".join(text.split()))
    assert len(found) >= 4
    assert [one for one in found if one not in tables] == []


def test_how_much_shorter_the_weights_are() -> None:
    """Of each arm with a penalty beside the same without, and the learning rates chosen."""
    found: dict[str, list[float]] = {}
    for base in ("rate", "rate+mse", "step", "step+mse"):
        for term in ("trt", "l2n"):
            arm = "trt" if (base, term) == ("step+mse", "trt") else f"{base}+{term}"
            ours, theirs = (values("fashion", name, "weight_norm") for name in (arm, base))
            apart = np.mean([ours[r] / theirs[r] - 1 for r in ours.keys() & theirs.keys()])
            found.setdefault(base.partition("+")[0], []).append(-100 * apart)
    text = " ".join(PAGE.read_text().split())
    same, other = (f"{min(f):.0f}% to {max(f):.0f}% shorter" for f in found.values())
    assert f"end {same} than without beside `rate` and `rate+mse`, at the same" in text
    assert f"and {other} than those of `step` and `step+mse`, which train at twice" in text
    chosen = json.loads((PAGE.with_suffix("") / "fashion" / "chosen.json").read_text())
    rates = {a: c["optimizer.lr"] for a, c in chosen.items() if "optimizer.lr" in c}
    assert rates == {"rate": 0.004, "rate+mse": 0.004, "step": 0.008, "step+mse": 0.008}


def test_what_was_chosen_on_recordings_and_how_much_shorter_the_weights_are() -> None:
    chosen = json.loads((PAGE.with_suffix("") / "nmnist" / "chosen.json").read_text())
    rates = {a: c["optimizer.lr"] for a, c in chosen.items() if "optimizer.lr" in c}
    assert rates == {"rate": 0.008, "rate+mse": 0.008, "step": 0.008, "step+mse": 0.016}
    norms = [values("nmnist", a, "weight_norm") for a in ("trt", "step+mse+l2n", "step+mse")]
    shorter = [-100 * np.mean([n[r] / norms[2][r] - 1 for r in norms[2]]) for n in norms[:2]]
    text = " ".join(PAGE.read_text().split())
    said = "the weights of `trt` and `step+mse+l2n` end {:.0f}% and {:.0f}% shorter than those of"
    assert said.format(*shorter) in text


def test_the_page_is_what_the_tool_writes() -> None:
    words = [sys.executable, "-c", "import publish_long as p; print(p.page(p.PAGE.read_text()))"]
    tools = str(Path(ROOT / "tools"))
    done = subprocess.run(words, cwd=tools, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stderr)
    assert done.stdout == PAGE.read_text() + "\n"


def test_what_was_chosen_on_images_with_augmentation() -> None:
    chosen = json.loads((PAGE.with_suffix("") / "cifar" / "chosen.json").read_text())
    text = " ".join(PAGE.read_text().split())
    assert "`rate`, `rate+mse` and `step+mse` chose 16e-3" in text
    assert [chosen[arm] for arm in ("rate", "rate+mse", "step+mse")] == [
        {"optimizer.lr": 0.016}
    ] * 3
    assert chosen["trt"] == {"objective.lam": 1e-3}
    assert chosen["step+logit"] == {"objective.logit_lam": 0.005}
    assert chosen["step+mse+l2"] == {"objective.lam": 1e-3}

    def beside(arm: str, other: str) -> float:
        ours, theirs = (values("cifar", name, "weight_norm") for name in (arm, other))
        return float(np.mean([ours[r] / theirs[r] for r in ours]) - 1)

    shorter = -beside("trt", "step+mse"), -beside("trt", "step+mse-half")
    assert f"weights of `trt` end {shorter[0]:.0%} shorter than those of `step+mse`" in text
    assert f"beside it the weights of `trt` end {shorter[1]:.0%} shorter" in text
    longer, less = beside("step+mse+l2", "trt"), -beside("step+mse+l2n", "trt")
    assert f"same trials, and ends {longer:.0%} longer than `trt`" in text
    assert f"not chosen for accuracy, and ends {less:.0%} shorter" in text
    of_rate = [100 * np.mean([*values("cifar", "rate", c).values()]) for c in COLUMNS.values()][3:]
    assert (
        f"ends at {of_rate[0]:.2f}% of its training images, and the gap is {of_rate[1]:.2f}" in text
    )
