"""Several real processes that train together, on one CPU and over gloo: what is equal to one
process, who speaks when something is wrong, and how a run goes on with other processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from tests.conftest import COMMAND, CommandLine, said
from tests.processes import Running, finished

# Without batch norm, in float64; everything random is on. 467 samples in batches of 233: in the
# last one, of one sample, the second process has none.
TRAIN = (
    "train", "nmnist-trt", "--device", "cpu", "--num-steps", "2", "--model.channels", "[4, 8]",
    "--model.norm", "none", "--precision", "64-true", "--model.dropout", "0.2",
    "--augment.mixup", "0.4", "--objective.lam", "1e-2", "--optimizer.clip-norm", "1.0",
)  # fmt: skip
JOINT = (
    *TRAIN, "--epochs", "2", "--data.train-size", "467", "--batch-size", "233",
    "--optimizer.lr", "0.02", "--out", "run",
)  # fmt: skip
LONG = (*TRAIN, "--epochs", "3", "--batch-size", "20", "--num-steps", "4", "--out", "run")
TIMES = {"seconds", "peak_memory_mb"}
LONG_ENOUGH = 300.0
"""Seconds after which a test fails rather than hangs: torch itself would wait for 30 minutes."""


Started = Running | subprocess.Popen[str]


def free_port() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


def start(folder: Path, words: tuple[str, ...], **environment: str) -> Running:
    folder.mkdir(exist_ok=True)
    return Running(words, folder, **environment)


launchers: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Ends what a failed test has left of launchers and of what they have started."""
    yield
    while launchers:
        process = launchers.pop()
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def start_launcher(folder: Path, words: tuple[str, ...]) -> subprocess.Popen[str]:
    """A command that starts the second process itself, again by the words it was started with."""
    process = subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    launchers.append(process)
    return process


def start_two_nodes(folder: Path, words: tuple[str, ...], **of_second: str) -> list[Running]:
    """One process on each of two nodes, as srun starts them; both nodes are this machine."""
    common = {
        "SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "2", "SLURM_LOCALID": "0",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(),
    }  # fmt: skip
    own = ({}, of_second)
    return [
        start(folder, words, **common, SLURM_PROCID=f"{r}", SLURM_NODEID=f"{r}", **own[r])
        for r in (0, 1)
    ]


def ended(processes: Sequence[Started]) -> list[tuple[int, str, list[str]]]:
    """Exit code, output, and what was said on standard error, of each."""
    results = []
    for process in processes:
        output, errors = process.communicate(timeout=LONG_ENOUGH)
        code = process.returncode
        assert code is not None
        results.append((code, output, ours(errors)))
    return results


def ours(errors: str) -> list[str]:
    """The lines on standard error, without those in which Fabric and torchrun report progress."""
    return [line for line in said(errors) if line.startswith(("tempreg", "Traceback"))]


def wait_for_epoch(process: Started, run: Path) -> None:
    """Until the first epoch is recorded, and a moment more."""
    metrics, deadline = run / "metrics.jsonl", time.monotonic() + LONG_ENOUGH
    while not metrics.exists() or not metrics.read_text():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.1)


def largest_difference(a: Path, b: Path) -> float:
    """Of the weights of two runs, ||a - b|| / ||a||, by tensor."""
    first, second = (load_file(run / "model.safetensors") for run in (a, b))
    assert first.keys() == second.keys()
    return max(float((first[k] - second[k]).norm() / first[k].norm()) for k in first)


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def check_equal(run: Path, alone: Path) -> None:
    """Weights, metrics, summary and test items of a run are those of one process."""
    assert largest_difference(run, alone) < 1e-9
    summaries = [json.loads((r / "summary.json").read_text()) for r in (run, alone)]
    for a, b in [*zip(metrics(run), metrics(alone), strict=True), summaries]:
        assert a.keys() == b.keys()
        for name in a.keys() - TIMES - {"split", "settings"}:
            assert a[name] == pytest.approx(b[name], rel=1e-9), name
        assert a.get("settings") == b.get("settings")
    items = [np.load(r / "test_items.npz") for r in (run, alone)]
    assert all(np.array_equal(items[0][name], items[1][name]) for name in ("correct", "items"))


def trained(folder: Path, words: tuple[str, ...]) -> Path:
    result = finished(words, folder)
    assert result.returncode == 0, result.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`JOINT` by one process."""
    return trained(tmp_path_factory.mktemp("alone"), JOINT)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`LONG` by one process that was never stopped."""
    return trained(tmp_path_factory.mktemp("long"), LONG)


def test_two_processes_equal_one_with_the_joint_batch(tmp_path: Path, alone: Path) -> None:
    assert len({line["accuracy"] for line in metrics(alone)}) > 2  # it does learn something
    ((code, output, errors),) = ended([start_launcher(tmp_path, (*JOINT, "--devices", "2"))])
    assert (code, errors) == (0, [])
    assert output.count("epoch 1/2  loss") == output.count("test accuracy") == 1
    check_equal(tmp_path / "run", alone)
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["processes"] == 2


def test_one_is_killed_and_the_other_goes_on_alone(
    tempreg: CommandLine, tmp_path: Path, long: Path
) -> None:
    first, second = start_two_nodes(tmp_path, LONG)
    wait_for_epoch(first, tmp_path / "run")
    second.kill()
    (code, _, (sentence,)), _ = ended([first, second])
    assert code == 1
    assert sentence.startswith("tempreg: process 0 of 2 has lost another one")
    assert sentence.endswith("continue with tempreg train --resume --out run")
    resumed = tempreg("train", "--resume", "--out", "run", "--devices", "1", "--num-nodes", "1")
    assert resumed.returncode == 0, resumed.stderr
    assert "was computed with processes: 2 and goes on with 1" in resumed.stderr
    check_equal(tmp_path / "run", long)


def test_one_process_is_stopped_and_two_of_torchrun_go_on(tmp_path: Path, long: Path) -> None:
    process = start(tmp_path, LONG)
    wait_for_epoch(process, tmp_path / "run")
    process.send_signal(signal.SIGTERM)
    ((code, _, _),) = ended([process])
    assert code == 130
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [sys.executable, *torchrun, "-m", "tempreg", "train", "--resume", "--out", "run"],
        cwd=tmp_path, capture_output=True, text=True, timeout=LONG_ENOUGH, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("was computed with processes: 1 and goes on with 2") == 1
    assert result.stdout.count("test accuracy") == 1
    check_equal(tmp_path / "run", long)


def test_two_processes_stopped_in_an_epoch_and_continued(tmp_path: Path, long: Path) -> None:
    process = start_launcher(tmp_path, (*LONG, "--devices", "2"))
    wait_for_epoch(process, tmp_path / "run")
    process.send_signal(signal.SIGINT)  # to the first alone: the others hear of it from there
    ((code, _, errors),) = ended([process])
    assert code == 130
    (sentence,) = errors
    assert "as asked; continue with: tempreg train --resume --out run" in sentence
    resumed = start_launcher(tmp_path, ("train", "--resume", "--out", "run"))
    ((code, _, errors),) = ended([resumed])
    assert (code, errors) == (0, [])
    check_equal(tmp_path / "run", long)


OBJECTIVE = """
import os
from tempreg.objectives import RateLoss

class Mine(RateLoss):
    calls = 0

    def compute(self, outputs, targets):
        self.calls += 1
        wrong = os.environ["SLURM_PROCID"] == "1" and self.calls == 3
        (loss,) = super().compute(outputs, targets).values()
        return {"mine": loss / (0.0 if wrong else 1.0)}
"""


def test_trouble_of_one_process_is_told_by_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.py").write_text(OBJECTIVE)
    words = (*JOINT, "--objective", "mine:Mine")
    without = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'own'}{os.pathsep}{without}")
    cannot = start_two_nodes(tmp_path / "b", words, PYTHONPATH=without)
    (first, _, (sentence,)), (second, _, nothing) = ended(cannot)
    assert (first, second, nothing) == (2, 2, [])
    assert sentence.startswith(
        "tempreg: error: objective.name mine:Mine: there is no module 'mine'"
    )
    assert sentence.endswith("(in process 1 of 2)")
    assert not (tmp_path / "b" / "run").exists()
    diverging = start_two_nodes(tmp_path / "c", words)
    (first, _, (sentence,)), (second, _, nothing) = ended(diverging)
    assert (first, second, nothing) == (1, 1, [])
    assert "the loss is not finite at epoch 1, batch 3" in sentence
    assert sentence.endswith("(in process 1 of 2)")


MEETING = """
import torch
from tempreg import Objective
from torch import distributed, nn


class Net(nn.Module):
    def __init__(self, num_classes, in_channels, input_size):
        super().__init__()
        self.head = nn.Linear(in_channels * input_size[0] * input_size[1], num_classes)

    def forward(self, x):
        logits = self.head(x.flatten(2))
        mean = logits.detach().mean(dim=(0, 1))
        if distributed.is_initialized():  # as SyncBatchNorm does
            distributed.all_reduce(mean)
        return logits - mean


class Loss(Objective):
    def compute(self, outputs, targets):
        second = distributed.is_initialized() and distributed.get_rank() == 1
        return {"mean": outputs.square().mean() + (torch.inf if second else 0.0)}
"""


def test_layers_that_meet_do_not_wait_for_ever_where_one_loss_breaks(tmp_path: Path) -> None:
    (tmp_path / "meeting.py").write_text(MEETING)
    words = (
        "train", "nmnist-trt", "--device", "cpu", "--num-steps", "2", "--devices", "2",
        "--model.name", "meeting.py:Net", "--objective.name", "meeting.py:Loss",
        "--optimizer.lr", "1e-3", "--data.train-size", "40", "--out", "run",
    )  # fmt: skip
    ((code, _, (line,)),) = ended([start_launcher(tmp_path, words)])
    assert code == 1
    assert "the loss is not finite at epoch 1, batch 1 (mean inf)" in line
    assert "the objective itself" in line
    assert line.endswith("(in process 1 of 2)")
