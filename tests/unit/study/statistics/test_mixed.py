"""The mixed model: against statsmodels' REML, and by simulations whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tempreg.study.statistics.mixed import mixed_model


def table(
    rng: np.random.Generator, partitions: int, items: int, sds: tuple[float, float, float]
) -> NDArray[np.float64]:
    a, b, e = sds
    return (
        0.3
        + a * rng.standard_normal((partitions, 1))
        + b * rng.standard_normal((1, items))
        + e * rng.standard_normal((partitions, items))
    )


def test_the_components_are_those_of_reml() -> None:
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    d = table(np.random.default_rng(3), 6, 40, (0.5, 0.8, 0.6))
    partition, item = (index.ravel() for index in np.indices(d.shape))
    frames = {
        "partition": np.eye(6)[partition],
        "item": np.eye(40)[item],
    }
    names = list(frames)
    components = statsmodels.regression.mixed_linear_model.VCSpec(
        names,
        [[[f"{name}{i}" for i in range(frames[name].shape[1])]] for name in names],
        [[frames[name]] for name in names],
    )
    model = statsmodels.MixedLM(
        d.ravel(), np.ones((d.size, 1)), np.zeros(d.size), exog_vc=components
    )
    fit = model.fit(reml=True, method="lbfgs")
    ours = mixed_model(d)
    assert ours.mean == pytest.approx(float(fit.fe_params[0]), rel=1e-6)
    assert (ours.partitions, ours.items) == pytest.approx(tuple(fit.vcomp), rel=2e-3)
    assert ours.rest == pytest.approx(float(fit.scale), rel=2e-3)
    error = float(fit.bse_fe[0])
    half = (ours.high - ours.low) / 2
    assert 1.96 * error * 0.99 < half  # t, not normal: never narrower than statsmodels' own


@pytest.mark.parametrize(
    ("partitions", "items", "sds"),
    [(4, 200, (0.02, 0.1, 0.2)), (4, 200, (0.0, 0.1, 0.2)), (8, 50, (0.1, 0.1, 0.1))],
)
def test_the_interval_covers_as_it_says(
    partitions: int, items: int, sds: tuple[float, float, float]
) -> None:
    """Of 3,000 tables of new partitions and items, about 95% (sampling error 0.4 points)."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(3000):
        found = mixed_model(table(rng, partitions, items, sds))
        covered += found.low <= 0.3 <= found.high
    assert 0.93 <= covered / 3000 <= 0.975, covered / 3000


def test_what_cannot_be_said() -> None:
    assert np.isnan(mixed_model(np.ones((1, 5))).low)
    still = mixed_model(np.full((3, 4), 0.2))
    assert (still.low, still.high, still.rest) == pytest.approx((0.2, 0.2, 0.0))
    with pytest.raises(ValueError, match="finite table"):
        mixed_model(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="finite table"):
        mixed_model(np.array([[1.0, np.nan]]))


def test_two_partitions_and_two_items_are_enough() -> None:
    for size in [(2, 5), (5, 2)]:
        found = mixed_model(table(np.random.default_rng(1), *size, (0.1, 0.1, 0.1)))
        assert found.low < found.mean < found.high
    for size in [(1, 5), (5, 1)]:
        assert np.isnan(mixed_model(np.zeros(size)).low)
