"""Time to answer at equal risk: each number by its definition, and what can't be asked."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tempreg.analysis import EarlyExits, early_exits
from tempreg.analysis.early_exits import RISKS, answered, exit_curve
from tempreg.analysis.exits import calibrated
from tests.unit.analysis.test_exits import answers


def found() -> EarlyExits:
    logits, targets = answers(1_200, seed=5)
    known = logits[:, 600:], targets[600:]
    return early_exits(logits[:, :600], targets[:600], calibration=known)


def test_each_number_is_that_of_the_exit_which_is_calibrated() -> None:
    logits, targets = answers(1_200, seed=5)
    mine = found()
    assert mine.risk.tolist() == [*RISKS]
    mean = logits[:, :600].double().cumsum(0) / torch.arange(1.0, 5.0)[:, None, None].double()
    for column, risk in enumerate(RISKS):
        exit_ = calibrated(logits[:, 600:], targets[600:], risk=risk)
        times, right, lost = [], 0, 0
        for i in range(600):  # one sample after the other, one timestep after the other
            for t in range(4):
                chances = (mean[t, i] / exit_.temperatures[t]).softmax(0)
                if float(chances.max()) >= exit_.threshold or t == 3:
                    break
            times.append(t + 1)
            correct = int(chances.argmax()) == int(targets[i])
            right += correct
            lost += not correct and int(mean[3, i].argmax()) == int(targets[i])
        assert mine.threshold[column] == exit_.threshold
        assert mine.timesteps[column] == pytest.approx(np.mean(times))
        assert mine.accuracy[column] == pytest.approx(right / 600)
        assert mine.lost[column] == pytest.approx(lost / 600)
    assert (np.diff(mine.timesteps) < 0).all()  # more risk, sooner answers
    assert mine.settings["calibrated on"] == 600


def test_the_curve_goes_from_the_first_timestep_to_the_exits_and_on() -> None:
    logits, targets = answers(800, seed=1)
    curve = exit_curve(logits, targets, [1.0] * 4)
    assert curve.timesteps == sorted(curve.timesteps)
    first = (logits[0].argmax(1) == targets).double().mean()
    assert curve.timesteps[0] == 1.0
    assert curve.accuracy[0] == pytest.approx(float(first))
    assert 3.0 < curve.timesteps[-1] <= 4.0
    assert curve.accuracy[-1] > curve.accuracy[0] + 0.05
    mine = found()
    inside = np.interp(mine.timesteps, mine.curve_timesteps, mine.curve_accuracy)
    np.testing.assert_allclose(inside, mine.accuracy, atol=0.01)


def test_what_too_few_samples_can_not_show_is_nan() -> None:
    logits, targets = answers(300, seed=2)
    mine = early_exits(logits, targets, calibration=(logits[:, :100], targets[:100]))
    assert np.isnan(mine.timesteps[0])  # 0.02 takes 228
    assert np.isfinite(mine.timesteps[1:]).all()
    none = early_exits(logits, targets, calibration=(logits[:, :10], targets[:10]))
    assert np.isnan(none.timesteps).all()
    assert np.isfinite(none.curve_accuracy).all()
    assert "nan" in none.table()
    assert none.figure() is not None


def test_a_network_that_is_sure_and_wrong_at_first_answers_at_the_end() -> None:
    targets = torch.arange(400) % 5
    right = torch.nn.functional.one_hot(targets, 5).float()
    logits = torch.stack([8 * right.roll(1, 1), 30 * right])  # sure and wrong, then right
    mine = early_exits(logits, targets, calibration=(logits, targets))
    assert (mine.timesteps[:2] == 2).all()
    assert (mine.lost[:2] == 0).all()


def test_a_file_has_it_and_the_table_says_it(tmp_path: Path) -> None:
    mine = found()
    mine.save(tmp_path / "exits.json")
    back = EarlyExits.load(tmp_path / "exits.json")
    assert back.table() == mine.table()
    assert back.table().splitlines()[0].split() == ["risk", "timesteps", "lost", "accuracy"]
    assert back.table().splitlines()[1].split()[0] == "0.02"
    (axes,) = back.figure().axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "any threshold", "risk 0.02", "risk 0.05", "risk 0.1",
    ]  # fmt: skip


def test_an_exit_says_when_each_sample_is_answered() -> None:
    logits, targets = answers(400, seed=4)
    exit_ = calibrated(logits, targets, risk=0.1)
    end = answered(exit_, logits, targets)
    assert set(end.timesteps.tolist()) <= {1, 2, 3, 4}
    assert end.right_at_end.mean() == pytest.approx(
        float((logits.mean(0).argmax(1) == targets).double().mean())
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"risks": ()}, "at least one number"),
        ({"risks": (0.1, 1.0)}, "at least one number"),
        ({"risks": (math.nan,)}, "at least one number"),
        ({"delta": 0.0}, "delta must be in"),
        ({"calibration": (torch.zeros(3, 100, 5), torch.zeros(100).long())}, "one T and C"),
    ],
)
def test_what_can_not_be_asked(changes: dict[str, object], words: str) -> None:
    logits, targets = answers(100, seed=0)
    given = {"calibration": (logits, targets)} | changes
    with pytest.raises(ValueError, match=words):
        early_exits(logits, targets, **given)  # type: ignore[arg-type]
