"""How far Fisher information repeats on other samples: against gradients taken one by one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tempreg.analysis import Fisher, ResultError, fisher_information
from tempreg.analysis.halves import halves, reliability
from tests.oracle.test_fisher import SAMPLES, STEPS, looped, network


def test_two_halves_of_the_samples() -> None:
    model, x, y = network("event")
    squares = looped(model, x, y).sum(dim=2).numpy()  # [N, T]
    result = fisher_information(model, x, y, seed=7, chunk=2)
    order = np.random.default_rng((7, 2)).permutation(SAMPLES)
    parts = [squares[order[:2]].mean(axis=0), squares[order[2:]].mean(axis=0)]
    np.testing.assert_allclose(result.half_profiles, parts, rtol=1e-10)
    np.testing.assert_allclose((2 * parts[0] + 3 * parts[1]) / 5, result.per_step, rtol=1e-10)
    t = np.arange(1, STEPS + 1)
    middles = [float((part * t).sum() / part.sum()) for part in parts]
    np.testing.assert_allclose(result.half_centroids, middles, rtol=1e-10)
    assert result.halves_apart == pytest.approx(abs(middles[0] - middles[1]))
    r = stats.pearsonr(*parts).statistic
    assert result.reliability == pytest.approx(2 * r / (1 + r) if r > 0 else r)
    assert f"centroids {result.halves_apart:.3f} apart" in result.table()


def test_batches_are_halved_and_signs_are_not() -> None:
    model, x, y = network("event")
    batches = fisher_information(model, x, y, estimator="batch", chunk=2)
    np.testing.assert_allclose(  # of three batches one and two
        (batches.half_profiles * [[1], [2]]).sum(axis=0) / 3, batches.per_step, rtol=1e-10
    )
    signs = fisher_information(model, x, y, estimator="signs", draws=4)
    assert np.isnan(signs.half_profiles).all()
    assert np.isnan([signs.halves_apart, signs.reliability]).all()
    assert "halves" not in signs.table()


def test_the_correction_is_what_twice_the_samples_give() -> None:
    """Profiles whose shape differs from network to network, seen through noise: the correlation of
    whole samples' profiles with those of other samples is what the halves foretell."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(4000)
    samples = truth + 4 * rng.standard_normal((40, 4000))
    again = truth + 4 * rng.standard_normal((40, 4000))
    foretold = reliability(halves(samples, seed=1))
    seen = stats.pearsonr(samples.mean(axis=0), again.mean(axis=0)).statistic
    half = stats.pearsonr(*halves(samples, seed=1)).statistic
    assert foretold == pytest.approx(seen, abs=0.03)
    assert foretold > half + 0.1


@pytest.mark.parametrize(
    "pairs", [[[1, 2], [3, 5]], [[1, 1, 1], [1, 2, 3]], [[1, np.nan, 2], [1, 2, 3]]]
)
def test_correlations_that_say_nothing(pairs: list[list[float]]) -> None:
    assert np.isnan(reliability(np.array(pairs, dtype=float)))


def test_what_falls_in_one_half_and_rises_in_the_other_is_not_corrected() -> None:
    assert reliability(np.array([[1.0, 2, 3], [3.0, 2, 1]])) == pytest.approx(-1)


def test_what_was_not_measured_comes_back_from_a_file(tmp_path: Path) -> None:
    """And files of before there were halves are read."""
    model, x, y = network("event")
    path = tmp_path / "fisher.json"
    fisher_information(model, x, y, estimator="signs", draws=1).save(path)
    back = Fisher.load(path)
    assert np.isnan(back.reliability)
    assert "halves" not in back.table()
    content = json.loads(path.read_text())
    for name in ("half_profiles", "half_centroids", "halves_apart", "reliability"):
        del content[name]
        content["arrays"].pop(name, None)
    path.write_text(json.dumps(content))
    old = Fisher.load(path)
    assert np.isnan([old.reliability, *old.half_centroids]).all()
    assert old.table() == back.table()
    del content["centroid"]
    path.write_text(json.dumps(content))
    with pytest.raises(ResultError, match="lacks 'centroid'"):
        Fisher.load(path)
