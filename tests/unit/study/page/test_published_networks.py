"""docs/study/networks.md says what its CSV files say: by SciPy alone, and by its tool."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.unit.study.page.published import ROOT

PAGE = ROOT / "docs" / "study" / "networks.md"
COLUMNS = {
    "last timestep": "test_accuracy",
    "averaged over timesteps": "mean_accuracy_over_steps",
    "first timestep": "accuracy_t1",
    "train minus test": "generalization_gap",
}


def values(study: str, arm: str, column: str) -> np.ndarray:
    with (PAGE.with_suffix("") / study / "results.csv").open(newline="") as file:
        found = [r for r in csv.DictReader(file) if r["arm"] == arm]
    assert [r["status"] for r in found] == ["finished"] * 5
    return np.array([float(r[column]) for r in sorted(found, key=lambda r: r["replicate"])])


def test_every_difference_is_that_of_scipy() -> None:
    lines = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines()]
    head, *rows = [cells for cells in lines if len(cells) == 6 and cells[0] != "---"]
    arms = [re.findall("`(.+?)`", name)[0] for name in head[3:]]
    assert len(rows) == 16
    for study, measure, base, *cells in rows:
        reference = values(study, "rate", COLUMNS[measure])
        assert base == f"{100 * reference.mean():.2f}"
        raw = []
        for arm, cell in zip(arms, cells, strict=True):
            test = stats.ttest_1samp(values(study, arm, COLUMNS[measure]) - reference, 0)
            low, high = test.confidence_interval()
            mean = float(np.mean(values(study, arm, COLUMNS[measure]) - reference))
            assert cell.startswith(f"{100 * mean:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}): ")
            raw.append(float(test.pvalue))
        adjusted = multipletests(raw, method="holm")[1]
        for p, cell in zip(adjusted, cells, strict=True):
            assert p < 0.05 or not cell.endswith(("higher", "lower"))


def test_the_penalty_alone_leaves_zero_inside() -> None:
    lines = PAGE.read_text().split("The penalty alone:")[1].split("<!--")[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][2:]
    assert len(rows) == 16
    for study, measure, cell in rows:
        d = values(study, "trt", COLUMNS[measure]) - values(study, "step+mse", COLUMNS[measure])
        low, high = stats.ttest_1samp(d, 0).confidence_interval()
        assert cell == f"{100 * d.mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"
        assert low < 0 < high  # as the page says in words


def test_the_table_is_what_the_tool_writes() -> None:
    words = [
        sys.executable,
        "-c",
        "import publish_networks as p; print(p.page(p.PAGE.read_text()))",
    ]
    tools = str(Path(ROOT / "tools"))
    done = subprocess.run(words, cwd=tools, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stderr)
    assert done.stdout == PAGE.read_text() + "\n"
