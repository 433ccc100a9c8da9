"""From which density on convolutions are dense: measured once, and kept for later processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tempreg.ops import sparse_limits
from tempreg.ops.sparse_conv import Passes
from tempreg.ops.sparse_limits import MOST_DENSITY, Limits, kept, limits_of
from tests.conftest import needs_compiler

ONE: tuple[int, int] = (1, 1)


def test_a_pass_walks_lists_below_its_limit() -> None:
    limits = Limits(result=0.2, weights=0.4)
    assert limits.passes(0.1) == Passes(True, True)
    assert limits.passes(0.2) == limits.passes(0.3) == Passes(False, True)
    assert limits.passes(0.4) == Passes(False, False)
    assert not any(Limits(0, 0).passes(0.0))


def test_what_was_measured_is_kept_and_the_first_of_two_processes_has_its_way(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sparse" / "shape.json"
    assert kept(path, lambda: Limits(0.25, 0.5)) == Limits(0.25, 0.5)
    assert kept(path, lambda: pytest.fail("measured again")) == Limits(0.25, 0.5)
    path.unlink()

    def overtaken() -> Limits:
        kept(path, lambda: Limits(0.125, 0.25))
        return Limits(0.75, 0.75)

    assert kept(path, overtaken) == Limits(0.125, 0.25)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_small_convolutions_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_limits, "measured", lambda _: pytest.fail("measured"))
    assert limits_of(torch.zeros(8, 2, 8, 8), torch.zeros(4, 2, 3, 3), ONE, ONE) == Limits(0, 0)


@needs_compiler
def test_limits_follow_from_least_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dense takes 10; lists take 1 to make, a result 1 + 40 d, a gradient 1 + 20 d."""
    monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(sparse_limits, "LEAST_PRODUCTS", 0)
    sparse_limits._limits.cache_clear()
    calls: list[int] = []
    threads = torch.get_num_threads()
    times = iter([10, 10, 1, 1 + 4, 1 + 2, 1, 1 + 16, 1 + 8])
    monkeypatch.setattr(
        sparse_limits, "_least", lambda work: (work(), calls.append(1), float(next(times)))[2]
    )
    x, weight = torch.zeros(3, 4, 6, 6), torch.zeros(8, 4, 3, 3)
    found = limits_of(x, weight, ONE, ONE)
    assert found == pytest.approx(((9.3 - 2) / 40, (9.3 - 2) / 20))
    assert torch.get_num_threads() == threads
    assert limits_of(torch.ones(2, 4, 6, 6), weight, ONE, ONE) == found  # 3 images are as 2
    sparse_limits._limits.cache_clear()
    assert limits_of(x, weight, ONE, ONE) == found  # from the file
    assert len(calls) == 8
    sparse_limits._limits.cache_clear()


@needs_compiler
def test_a_real_measurement_says_a_share() -> None:
    shape = sparse_limits._Shape((1, 8, 6, 6), (16, 8, 3, 3), ONE, ONE)
    found = sparse_limits.measured(shape)
    assert all(0 <= limit <= most for limit, most in zip(found, MOST_DENSITY, strict=True))
