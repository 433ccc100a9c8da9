"""A machine whose clock was wrong, or is set back: results, locks and times don't ask it."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import pytest

from tempreg.config import RunConfig
from tempreg.data.frames.content_key import content_key
from tempreg.runs import train
from tempreg.training.interrupt import Interrupted
from tempreg.training.run_directory import RunDirectory
from tests.conftest import same_weights
from tests.unit.runs.test_resume import StopAfter

IN_2100 = 4_102_444_800


@pytest.fixture
def clock_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock shows half an hour less."""
    back = itertools.count(time.time(), -1800)
    monkeypatch.setattr(time, "time", lambda: next(back))
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * next(back)))


def test_a_run_goes_on(tiny: RunConfig, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    train(tiny, tmp_path / "whole")
    run = RunDirectory(tmp_path / "cut")
    with pytest.raises(Interrupted):
        train(tiny, run.path, reporter=StopAfter(25))
    for path in (run.path, *run.path.rglob("*")):
        os.utime(path, (IN_2100, IN_2100))
    request.getfixturevalue("clock_set_back")
    summary = train(tiny, run.path, resume=True)
    assert same_weights(tmp_path / "whole", run.path)
    seconds = [line["seconds"] for line in run.read_metrics()]
    assert 0 < seconds[0] <= seconds[-1] <= summary["seconds"] < 600


def test_content_from_the_future_is_read_each_time(tmp_path: Path) -> None:
    file, notes = tmp_path / "a.bin", tmp_path / "notes"
    keys = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        os.utime(file, (IN_2100, IN_2100))
        keys.append(content_key([file], tmp_path, notes))
    assert keys[0] != keys[1]
    assert not notes.exists()


def test_content_is_not_remembered_while_the_clock_is_behind(
    tmp_path: Path, clock_set_back: None
) -> None:
    file, notes = tmp_path / "a.bin", tmp_path / "notes"
    file.write_bytes(b"one")
    first = content_key([file], tmp_path, notes)
    assert content_key([file], tmp_path, notes) == first
    assert not notes.exists()
