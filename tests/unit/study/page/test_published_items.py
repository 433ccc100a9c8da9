"""The intervals for other recordings in docs/study/long.md, from items.npz by NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

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
