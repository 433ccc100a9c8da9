"""The intervals for other recordings in docs/study/long.md, from items.npz by NumPy and SciPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tempreg.study.results import StudyData, load_study
from tempreg.study.statistics.bootstrap import bootstrap
from tempreg.study.statistics.items import items_interval
from tempreg.study.statistics.mixed import mixed_model
from tempreg.study.statistics.partitions import over_recordings
from tests.unit.study.page.test_published_long import PAGE, part

PARTITIONS, FOLDS = 4, 5
TITLE = "For other recordings and partitions, minus `rate` (a mixed model of both):"


def table_of(arm: str, *, last: bool) -> NDArray[np.float64]:
    """What the arm got right more often than `rate`: [partitions, recordings]."""
    with np.load(PAGE.with_suffix("") / "nmnist" / "items.npz") as packed:
        arms = packed["names"][0].tolist()
        rows = []
        for partition in range(PARTITIONS):
            found = {}
            for run in range(FOLDS * partition, FOLDS * (partition + 1)):
                items = packed[f"items_{run}"]
                right = [
                    np.unpackbits(packed[f"correct_{arms.index(a)}_{run}"], axis=1)[:, : len(items)]
                    for a in (arm, "rate")
                ]
                more = right[0].astype(float) - right[1]
                found |= dict(zip(items, more[-1] if last else more.mean(0), strict=True))
            rows.append([found[item] for item in sorted(found)])
    return np.array(rows)


def figure(d: NDArray[np.float64]) -> str:
    """The analysis of variance in two ways, without replication; Satterthwaite's freedom."""
    (p, n), mean = d.shape, d.mean()
    of_partitions, of_items = (d.mean(axis, keepdims=True) - mean for axis in (1, 0))
    rest = d - mean - of_partitions - of_items
    squares = np.array([n * (of_partitions**2).sum(), p * (of_items**2).sum(), (rest**2).sum()])
    freedom = np.array([p - 1, n - 1, (p - 1) * (n - 1)])
    a, b, e = squares / freedom
    variance = max(0, a - e) / (n * p) + max(0, b - e) / (p * n) + e / (p * n)
    degrees = (a + b - e) ** 2 / (np.array([a, b, e]) ** 2 / freedom).sum()
    half = stats.t.ppf(0.975, max(degrees, p - 1)) * np.sqrt(variance)
    return f"{100 * mean:+.2f} ({100 * (mean - half):+.2f} to {100 * (mean + half):+.2f})"


@pytest.mark.parametrize("place", [1, 2], ids=["last", "mean"])
def test_intervals_for_other_recordings(place: int) -> None:
    _, rows = part("nmnist", TITLE)
    assert len(rows) == 6
    for row in rows:
        d = table_of(row[0].strip("`"), last=place == 1)
        assert d.shape == (4, 825)
        assert row[place] == figure(d)


@pytest.fixture(scope="module")
def study() -> StudyData:
    return load_study(PAGE.with_suffix("") / "nmnist")


def test_a_partition_without_one_of_its_runs_is_left_out(study: StudyData) -> None:
    kept = [r for r in study.runs if (r.arm, r.replicate) != ("trt", study.replicates[0])]
    found = over_recordings(replace(study, runs=kept), "trt", "rate", step=-1)
    assert found == mixed_model(table_of("trt", last=True)[1:])


def test_the_interval_over_runs_and_items_resamples_each_run_s_own_items(study: StudyData) -> None:
    rows = []
    with np.load(PAGE.with_suffix("") / "nmnist" / "items.npz") as packed:
        arms = packed["names"][0].tolist()
        for run in range(PARTITIONS * FOLDS):
            count = len(packed[f"items_{run}"])
            ours, theirs = (
                np.unpackbits(packed[f"correct_{arms.index(a)}_{run}"], axis=1)[:, :count].mean(0)
                for a in ("trt", "rate")
            )
            rows.append(ours - theirs)
    overlap = 0.15 / (0.85 * 0.85)  # of the folds' test and training sets
    wanted = bootstrap(rows, shared_items=False, seed=0, draws=50, overlap=overlap)
    assert items_interval(study, "trt", "rate", draws=50) == wanted
