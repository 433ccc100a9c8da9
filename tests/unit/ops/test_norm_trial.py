"""What becomes of the one pass where its kernels don't run on a GPU."""

from __future__ import annotations

import warnings
from typing import NoReturn

import pytest

from tempreg.ops import norm_c, norm_lif
from tempreg.ops.trial import TrialFailed
from tests.conftest import needs_compiler


def test_kernels_that_do_not_run_are_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> NoReturn:
        raise TrialFailed("a trial launch failed (OSError: no room)")

    monkeypatch.setattr(norm_lif, "tried", fails)
    monkeypatch.setattr(norm_lif, "_PASSES", {"cpu": norm_c})
    with pytest.warns(UserWarning, match=r"one after the other on cuda, .*: a trial launch failed"):
        assert norm_lif.passes("cuda") is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert norm_lif.passes("cuda") is None
        assert norm_lif.passes("mps") is None
        assert norm_lif.passes("cpu") is norm_c


@needs_compiler
def test_a_trial_takes_kernels_that_give_the_spikes_of_the_equations() -> None:
    assert norm_lif._same_spikes(norm_c, "cpu")
