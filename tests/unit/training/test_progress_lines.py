"""What a log that is no terminal is told within a long epoch."""

from __future__ import annotations

import pytest

from tempreg.training import progress
from tempreg.training.evaluate import Evaluation
from tempreg.training.progress import EVERY, Plain


def test_a_line_every_half_minute_within_an_epoch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    running = Evaluation(loss=1.5, terms={}, accuracy_per_step=(0.25, 0.5))
    told = Plain()
    told.begin(3, 300, 100)  # one epoch of 100 was done in an earlier session
    told.step(10, running)
    assert capsys.readouterr().out == ""
    now[0] += EVERY
    told.step(10, running)
    told.step(10, running)  # once
    assert capsys.readouterr().out == (
        "  epoch 2, 20%  loss 1.5000  accuracy 50.00%  1 samples/s\n"
    )
    told.epoch(2, running, None, False)
    assert capsys.readouterr().out.startswith("epoch 2/3")
    now[0] += EVERY
    told.step(50, running)
    assert capsys.readouterr().out.startswith("  epoch 3, 50%")
