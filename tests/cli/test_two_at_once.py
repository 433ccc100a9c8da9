"""Two processes that want one folder at once: the second is refused, the first isn't disturbed."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.conftest import CommandLine, said
from tests.processes import Running

TINY = ("nmnist-trt", "--num-steps", "2", "--model.channels", "[4, 8]")
ENDLESS = ("--epochs", "500")


def begun(folder: Path, metrics: str, *words: str) -> Running:
    """A command that has written its first line of metrics."""
    process = Running(words, folder)
    deadline = time.monotonic() + 120
    while not (folder / metrics).exists() or not (folder / metrics).read_text():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.parametrize(
    ("words", "metrics", "again", "sentence"),
    [
        (
            ("train", *TINY, *ENDLESS, "--out", "run"),
            "run/metrics.jsonl",
            ("train", "--resume", "--out", "run"),
            "another process is training in run: wait for it, or give another --out",
        ),
        (
            ("compare", *TINY, *ENDLESS, "--objectives", "step", "--seeds", "1", "--out", "s"),
            "s/runs/step/000/metrics.jsonl",
            ("compare", *TINY, *ENDLESS, "--objectives", "step", "--seeds", "1", "--out", "s"),
            "another process works on the study in s: wait for it, or give another --out",
        ),
    ],
)
def test_the_second_is_refused(
    tempreg: CommandLine,
    tmp_path: Path,
    words: tuple[str, ...],
    metrics: str,
    again: tuple[str, ...],
    sentence: str,
) -> None:
    first = begun(tmp_path, metrics, *words)
    second = tempreg(*again)
    first.send_signal(signal.SIGTERM)
    _, errors = first.communicate(timeout=120)
    assert (second.returncode, said(second.stderr)) == (2, [f"tempreg: error: {sentence}"])
    assert (first.returncode, "continue" in errors) == (130, True), errors


def test_of_two_that_start_together_one_trains(tempreg: CommandLine, tmp_path: Path) -> None:
    words = ("train", *TINY, "--epochs", "1", "--resume", "--out")
    alone = tempreg(*words, "alone")
    assert alone.returncode == 0, alone.stderr
    both = [Running((*words, "run"), tmp_path) for _ in range(2)]
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in both]
    assert {code for _, code in ends} <= {0, 2}
    assert 0 in {code for _, code in ends}, ends
    assert all(code == 0 or "another process is training in run" in err for err, code in ends)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("alone", "run")]
    assert weights[0] == weights[1]
