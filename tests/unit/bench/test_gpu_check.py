"""`make gpu-check` where there is no GPU: what it says, what it notices, and when it stops.

Its dry run is in tests/device.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, final

import pytest
import torch
from benchmarks import gpu_check
from benchmarks.gpu import correctness, peers
from benchmarks.gpu.device import Device, Work

from tests.conftest import needs_compiler

ROOT = Path(__file__).parents[3]


def test_without_a_gpu_it_says_so_and_writes_nothing(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    words = [sys.executable, "-m", "benchmarks.gpu_check", "--out", str(tmp_path / "a.jsonl")]
    child = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert child.returncode == 1
    assert "no NVIDIA GPU is here" in json.loads(child.stdout)["said"]
    assert not list(tmp_path.iterdir())


@final
class Here(Device):
    """The CPU and its kernels. Final."""

    place, small, setting, backend = torch.device("cpu"), True, "cpu", "compiled"
    halves = ()

    def name(self) -> str:
        return "here"

    def finish(self) -> None: ...

    def free(self) -> float:
        return 0.0

    def peak(self, work: Work) -> float:
        raise AssertionError

    def waits(self, work: Work) -> list[str]:
        raise AssertionError

    def spent(self, work: Work) -> list[tuple[str, float, int]]:
        raise AssertionError


@needs_compiler
def test_it_notices_a_kernel_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(ok for _, ok, _ in correctness._lif(Here()))
    right = correctness.lif
    monkeypatch.setattr(correctness, "lif", lambda x, **rest: right(x * 1.01, **rest))
    failed = {what for what, ok, _ in correctness._lif(Here()) if not ok}
    assert "lif torch.float32 T 4" in failed


def test_peers_that_cannot_run_are_left_out_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = SimpleNamespace(returncode=1, stderr="one\nno kernels for this GPU\n", stdout="")
    monkeypatch.setattr(peers.subprocess, "run", lambda *_, **__: ended)
    said = {line["what"]: line["left out"] for line in peers.peers("cuda")}
    assert said.keys() == peers.WAYS.keys()
    assert said["loop in plain torch"] == "no kernels for this GPU"
    if importlib.util.find_spec("spikingjelly") is None:
        assert said["SpikingJelly, triton"] == "spikingjelly is not installed"


def scripted(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> list[str]:
    """Parts that answer so; the names of those that were begun."""
    begun: list[str] = []

    def run(command: list[str], timeout: float, **_: Any) -> Any:
        part = command[command.index("--part") + 1]
        begun.append(part)
        answer = answers.get(part, '{"what": "x", "ok": true}\n')
        if answer is None:
            raise subprocess.TimeoutExpired(command, timeout, b'{"what": "x", "ok": true}\n')
        return SimpleNamespace(stdout=answer, returncode=0)

    monkeypatch.setattr(gpu_check.subprocess, "run", run)
    return begun


@pytest.mark.parametrize(("answers", "parts", "code"), [
    ({}, [*gpu_check.PARTS], 0),
    ({"correctness": '{"what": "x", "ok": false}\n'}, ["correctness"], 1),
    ({"correctness": ""}, ["correctness"], 1),  # it said nothing at all
    ({"correctness": None}, ["correctness"], 1),  # it took too long
    ({"times": None}, [*gpu_check.PARTS], 1),
], ids=str)  # fmt: skip
def test_it_stops_where_correctness_fails(
    answers: dict[str, Any], parts: list[str], code: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    begun = scripted(monkeypatch, answers)
    out = tmp_path / "a.jsonl"
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--dry-run", "--out", str(out)])
    assert gpu_check.main() == code
    assert begun == parts
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines[-1]["part"] == parts[-1]
    assert all(line["dry run"] is True for line in lines)


def test_it_fits_into_eight_minutes() -> None:
    assert sum(gpu_check.TIME_OUTS.values()) + 2 * gpu_check.LEFT <= gpu_check.TOTAL < 480
    assert peers.SECONDS * len(peers.WAYS) <= gpu_check.TIME_OUTS["peers"]
