"""Real processes, killed in the middle of an epoch and started again."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import CommandLine
from tests.processes import Running, finished

TRAIN = ("train", "nmnist-trt", "--epochs", "3", "--num-steps", "4", "--model.channels", "[8, 16]")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of a run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert finished((*TRAIN, "--out", "run"), folder).returncode == 0
    return (folder / "run" / "model.safetensors").read_bytes()


def start_and_stop(folder: Path, epochs: int, number: signal.Signals) -> Running:
    """Start a run, wait until `epochs` are recorded, and signal it in the next one."""
    process = Running((*TRAIN, "--out", "run"), folder)
    metrics, begun = folder / "run" / "metrics.jsonl", time.monotonic()
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 2 * epochs:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < begun + 90
        time.sleep(0.01)
    time.sleep(min(0.3, (time.monotonic() - begun) / epochs / 5))
    process.send_signal(number)
    return process


@pytest.mark.parametrize("epochs", [1, 2])
def test_sigkill_in_an_epoch_changes_nothing(
    tempreg: CommandLine, tmp_path: Path, whole: bytes, epochs: int
) -> None:
    process = start_and_stop(tmp_path, epochs, signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "run" / "summary.json").exists()
    resumed = tempreg("train", "--resume", "--out", "run")
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == whole
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 1, 2, 2, 3, 3]
    leftovers = [p.name for p in (tmp_path / "run").rglob("*.tmp")]
    assert leftovers == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_says_how_to_go_on(
    tempreg: CommandLine, tmp_path: Path, whole: bytes, number: signal.Signals
) -> None:
    process = start_and_stop(tmp_path, 1, number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "continue with: tempreg train --resume --out run" in errors
    assert "Traceback" not in errors
    resumed = tempreg("train", "--resume", "--out", "run")
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == whole


def test_another_thread_count_is_warned_about(tempreg: CommandLine, tmp_path: Path) -> None:
    process = start_and_stop(tmp_path, 1, signal.SIGINT)
    process.communicate(timeout=30)
    threads = "1" if os.environ.get("OMP_NUM_THREADS") != "1" else "2"
    resumed = tempreg("train", "--resume", "--out", "run", OMP_NUM_THREADS=threads)
    assert resumed.returncode == 0
    assert "tempreg: warning: this run was computed with" in resumed.stderr
    assert f"goes on with {threads}" in resumed.stderr
