"""The study's statistics, against oracles, worked examples and simulations with known truth."""

from __future__ import annotations

from math import isnan, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tempreg.study.statistics.bootstrap import (
    bootstrap,
    crossed_means,
    mean_squares,
    satterthwaite,
)
from tempreg.study.statistics.paired import (
    detectable_difference,
    holm,
    mean_sd,
    paired,
    power,
    tost,
)

VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=20).filter(lambda v: np.ptp(v) > 1e-3)


@given(VALUES)
def test_paired_is_the_t_test(values: list[float]) -> None:
    ours, theirs = paired(values), stats.ttest_1samp(values, 0.0)
    interval = theirs.confidence_interval(0.95)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9, abs=1e-300)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert ours.half_width == pytest.approx((ours.high - ours.low) / 2)
    assert (ours.mean, ours.sd) == pytest.approx(mean_sd(values))


@given(VALUES, st.floats(0.01, 50))
def test_tost_is_two_one_sided_tests(values: list[float], margin: float) -> None:
    above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(values, margin, alternative="less").pvalue
    assert tost(values, margin) == pytest.approx(max(above, below), rel=1e-9, abs=1e-300)


@given(VALUES, st.floats(0.01, 50))
def test_equal_is_said_exactly_where_the_90_interval_is_inside(
    values: list[float], margin: float
) -> None:
    test = paired(values, confidence=0.9)
    assert (tost(values, margin) < 0.05) == (-margin < test.low and test.high < margin)


def test_no_spread_and_single_values() -> None:
    same = paired([0.25] * 3)
    assert all(map(isnan, (same.low, same.high, same.p, same.detectable)))
    assert isnan(paired([0.1 + 0.2, 0.3]).p)  # the same but for rounding
    assert paired([0.0] * 3).p == 1.0
    assert tost([0.0] * 3, 0.5) == 0.0
    assert isnan(tost([0.7] * 3, 0.5))
    assert sum(map(isnan, (paired([1.0]).low, paired([1.0]).p, tost([1.0], 0.5)))) == 3
    for bad in ([], [nan, 1.0], [[1.0]]):
        with pytest.raises(ValueError, match="finite numbers in a row"):
            paired(bad)
    with pytest.raises(ValueError, match="margin must be > 0"):
        tost([1.0, 2.0], 0.0)


def test_overlap_widens_as_nadeau_and_bengio_have_it() -> None:
    values = np.array([0.1, 0.4, -0.2, 0.3, 0.2])
    plain, wide = paired(values), paired(values, overlap=0.25)
    assert wide.half_width / plain.half_width == pytest.approx(sqrt((1 / 5 + 0.25) * 5))
    assert wide.p > plain.p
    assert wide.detectable > plain.detectable
    assert tost(values, 0.5, overlap=0.25) > tost(values, 0.5)


def test_holm_on_a_worked_example() -> None:
    # Sorted .005 .01 .03 .04, times 4 3 2 1, and never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, nan, 0.7])[0::2] == [1.0, 1.0]
    assert isnan(holm([0.6, nan])[1])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_adjustment_and_bonferroni(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(a <= b <= min(1.0, len(p) * a + 1e-15) for a, b in zip(p, adjusted, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


def test_holm_keeps_its_word_in_simulation() -> None:
    rng = np.random.default_rng(1)
    wrong = [
        min(holm([paired(d).p for d in rng.standard_normal((5, 8))])) < 0.05 for _ in range(400)
    ]
    assert 0.02 < np.mean(wrong) < 0.085  # nominal 0.05 ± 3 standard errors


def test_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    tests = [paired(row) for row in rng.normal(0.3, 1.0, (2000, 6))]
    covered = np.mean([test.low <= 0.3 <= test.high for test in tests])
    assert covered == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(("n", "d"), [(3, 1.5), (10, 0.8), (10, 0.0)])
def test_power_is_how_often_a_difference_is_seen(n: int, d: float) -> None:
    shift = d * sqrt(n)
    critical = stats.t.ppf(0.975, n - 1)
    oracle = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    assert power(d, 1.0, n) == pytest.approx(oracle, abs=1e-3)
    rng = np.random.default_rng(3)
    seen = np.mean([paired(row).p < 0.05 for row in rng.normal(d, 1.0, (1500, n))])
    assert power(d, 1.0, n) == pytest.approx(seen, abs=0.04)


@pytest.mark.parametrize("n", [2, 3, 10, 50])
def test_the_detectable_difference_has_80_percent_power(n: int) -> None:
    found = detectable_difference(0.7, n)
    assert power(found, 0.7, n) == pytest.approx(0.8, abs=1e-6)
    assert found > stats.t.ppf(0.975, n - 1) * 0.7 / sqrt(n)


def test_what_could_be_seen_is_at_the_level_of_the_interval() -> None:
    """Power 0.8 of the noncentral t at 1 - confidence, as the interval leaves out that much."""
    values = [0.3, -0.1, 0.4, 0.2, 0.6, 0.1]
    for confidence in (0.9, 0.95, 0.99):
        test = paired(values, confidence=confidence)
        shift = test.detectable / (test.sd / sqrt(6))
        critical = stats.t.ppf((1 + confidence) / 2, 5)
        seen = stats.nct.sf(critical, 5, shift) + stats.nct.cdf(-critical, 5, shift)
        assert seen == pytest.approx(0.8, abs=2e-3)
    assert isnan(detectable_difference(nan, 5))
    assert detectable_difference(0.0, 5) == 0.0


def crossed_variance(d: np.ndarray) -> float:
    """Of the mean under resampled rows and columns, exactly: E over both multinomials."""

    def second_moment(size: int) -> np.ndarray:
        return (np.eye(size) / size - 1 / size**2) / size + 1 / size**2

    rows, columns = d.shape
    return float(
        np.einsum("rs,rn,nm,sm->", second_moment(rows), d, second_moment(columns), d)
        - d.mean() ** 2
    )


def test_crossed_draws_have_the_exact_variance() -> None:
    rng = np.random.default_rng(0)
    d = rng.normal(0.2, 1.0, (4, 30)) + rng.normal(0, 0.5, (4, 1)) + rng.normal(0, 0.5, 30)
    means = crossed_means(d, 40_000, rng)
    assert means.mean() == pytest.approx(d.mean(), abs=0.01)
    assert means.var() == pytest.approx(crossed_variance(d), rel=0.03)


@pytest.mark.parametrize("overlap", [0.0, 1 / 3.6])
def test_runs_with_items_of_their_own_have_the_interval_over_runs(overlap: float) -> None:
    """Their spread holds that of the items; with folds it is the corrected one, not half of it."""
    rng = np.random.default_rng(0)
    rows = [rng.normal(m, 1.0, size) for m, size in ((0.0, 20), (0.5, 40), (1.0, 30))]
    means = np.array([row.mean() for row in rows])
    error = sqrt(means.var(ddof=1) * (1 / 3 + overlap))
    interval = bootstrap(rows, shared_items=False, overlap=overlap)
    assert interval.mean == pytest.approx(means.mean())
    assert interval.high - interval.mean == pytest.approx(stats.t.ppf(0.975, 2) * error)
    assert interval.mean - interval.low == pytest.approx(interval.high - interval.mean)


def test_mean_squares_add_up() -> None:
    table = np.random.default_rng(0).normal(size=(4, 7))
    rows, columns, cells = mean_squares(table)
    parts = 3 * rows + 6 * columns + 18 * cells
    assert parts == pytest.approx(((table - table.mean()) ** 2).sum())
    assert mean_squares(np.arange(4.0)[:, None] * np.ones(7))[1:] == pytest.approx((0, 0))


def test_degrees_of_freedom_are_welchs_where_cells_have_no_spread() -> None:
    """Two mean squares: the freedom of Welch's test of samples whose variances they are."""
    rng = np.random.default_rng(0)
    for runs, items in ((3, 8), (6, 5), (12, 40)):
        a, b = rng.normal(0, 1, runs), rng.normal(0, 2, items)
        welch = stats.ttest_ind(a, b, equal_var=False).df
        rows, columns = a.var(ddof=1) / runs, b.var(ddof=1) / items
        found = satterthwaite(np.zeros((runs, items)), rows, columns, 0.0)
        assert found == pytest.approx(max(runs - 1, welch))
    table = np.zeros((4, 11))
    by_hand = (1 + 2 - 0.5) ** 2 / (1 / 3 + 2**2 / 10 + 0.5**2 / 30)
    assert satterthwaite(table, 1.0, 2.0, 0.5) == pytest.approx(by_hand)
    assert satterthwaite(table, 3.0, 0.1, 2.0) == 3  # never fewer than the runs have
    assert satterthwaite(table, 0.0, 0.0, 0.0) == 3


def test_the_crossed_interval_by_hand() -> None:
    """A t interval whose variance has that of the draws, and what they leave out of the runs'."""
    d = np.random.default_rng(4).normal(size=(5, 30)) + np.linspace(0, 1, 5)[:, None]
    draws, overlap = 500, 0.2
    means = crossed_means(d, draws, np.random.default_rng(9))
    rows, columns, cells = mean_squares(d)
    variance = means.var(ddof=1) + (rows / 5 - 2 * cells) / d.size
    variance = max(variance, rows / d.size) + overlap * rows / 30
    t = stats.t.ppf(0.975, satterthwaite(d, rows, columns, cells))
    half = max(t * sqrt(variance), paired(d.mean(axis=1), overlap=overlap).half_width)
    found = bootstrap(list(d), shared_items=True, seed=9, draws=draws, overlap=overlap)
    assert found.high - found.mean == pytest.approx(half)
    assert found.mean == pytest.approx(d.mean())
    alone = bootstrap(list(d), shared_items=True, seed=9, draws=draws)
    assert alone == bootstrap(list(d), shared_items=True, seed=9, draws=draws, overlap=0.0)
    assert alone.high < found.high


@pytest.mark.parametrize("overlap", [0.0, 0.1, 1 / 3.6])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("runs", [2, 3, 5, 10])
def test_the_interval_over_items_is_never_narrower_than_that_over_runs(
    runs: int, shared: bool, overlap: float
) -> None:
    rng = np.random.default_rng(0)
    for items in (2, 3, 40, 400):
        for spread in (0.0, 0.3):
            d = rng.normal(size=(runs, items)) + rng.normal(0, spread, (runs, 1))
            over_runs = paired(d.mean(axis=1), overlap=overlap)
            interval = bootstrap(list(d), shared_items=shared, draws=200, overlap=overlap)
            half = interval.high - interval.mean
            assert half >= over_runs.half_width * (1 - 1e-9)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("runs", [3, 10])
def test_bootstrap_covers_runs_and_items(shared: bool, runs: int) -> None:
    """Truth: run and item effects of equal weight; a t interval over runs covers far less."""
    rng = np.random.default_rng(runs)
    items, covered, over_runs = 60, [], []
    for _ in range(250):
        run, noise = rng.normal(0, 0.1, (runs, 1)), rng.normal(0, 1.0, (runs, items))
        item = rng.normal(0, 0.8, items if shared else (runs, items))
        d = run + item + noise
        interval = bootstrap(list(d), shared_items=shared, draws=200)
        covered.append(interval.low <= 0 <= interval.high)
        test = paired(d.mean(axis=1))
        over_runs.append(test.low <= 0 <= test.high)
    assert 0.905 < np.mean(covered) < 0.985
    if shared and runs == 10:
        assert np.mean(over_runs) < 0.75


def test_bootstrap_repeats_and_refuses() -> None:
    d = [np.arange(5.0), np.arange(5.0) + 0.1]
    first, second = bootstrap(d, shared_items=True), bootstrap(d, shared_items=True)
    assert first == second
    assert first != bootstrap(d, shared_items=True, seed=1)
    assert first.mean == pytest.approx(2.05)
    alone = bootstrap(d[:1], shared_items=True)
    assert alone.mean == 2.0
    assert isnan(alone.low)
    for bad, sentence in (([], "at least one item"), ([d[0], d[1][:3]], "equally many")):
        with pytest.raises(ValueError, match=sentence):
            bootstrap(bad, shared_items=True)


def test_noise_of_single_cells_is_counted_once() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for _ in range(60):
        interval = bootstrap(list(rng.normal(size=(10, 100))), shared_items=True, draws=400)
        widths.append((interval.high - interval.mean) * sqrt(10 * 100))
    assert 1.8 < np.mean(widths) < 2.6  # 1.96 were the variance known, 3.4 counted three times
