"""Reading ahead: equal batches and weights with any number of workers, errors, no leftovers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tempreg.config import RunConfig
from tempreg.data import DataError, DataSet, Split, load_dataset
from tempreg.runs import train
from tempreg.training.evaluate import Evaluation
from tempreg.training.interrupt import Interrupted
from tempreg.training.loading import Loader, WorkerLost
from tempreg.training.progress import Reporter
from tests.conftest import COMMAND, said, same_weights
from tests.unit.runs.test_resume import StopAfter


class Damaged(Split):
    """Sample 5 can't be read. Final."""

    def __init__(self) -> None:
        self.targets = torch.zeros(8, dtype=torch.int64)

    def inputs(self, indices: Tensor) -> Tensor:
        if 5 in indices.tolist():
            raise DataError("photo.jpg ends too early")
        return indices.float()[:, None, None, None]


def alive_in_group(group: int) -> list[str]:
    """Processes of this group that aren't only waiting to be forgotten."""
    table = subprocess.run(
        ["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in table.stdout.splitlines()]
    return [row[2] for row in rows if row[0] == str(group) and not row[1].startswith("Z")]


def damaged() -> DataSet:
    return DataSet("damaged", Damaged(), Damaged(), Damaged(), ("a",), 1, (1, 1))


def test_workers_give_the_same_batches_of_any_split_in_order() -> None:
    data = load_dataset("nmnist", num_steps=2)
    before = torch.get_rng_state()
    parts = torch.randperm(100, generator=torch.Generator().manual_seed(0)).split(30)
    with Loader(data) as here, Loader(data, workers=2) as ahead:
        for split in ("train", "test", "train"):
            pairs = zip(here.batches(split, parts), ahead.batches(split, parts), strict=True)
            for (x, y), (other_x, other_y) in pairs:
                assert torch.equal(x, other_x)
                assert torch.equal(y, other_y)
        assert len(multiprocessing.active_children()) == 2  # one pair for all passes
        next(iter(ahead.batches("train", parts)))  # a pass that is left in the middle
        first = next(iter(ahead.batches("test", parts)))
        assert torch.equal(first[1], data.test.targets[parts[0]])
    assert torch.equal(before, torch.get_rng_state())
    with pytest.raises(ValueError, match="closed"):
        list(here.batches("train", parts))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sample_that_cannot_be_read_is_said_in_its_own_words(workers: int) -> None:
    places = torch.arange(8).split(2)
    with Loader(damaged(), workers=workers) as loader:
        batches = loader.batches("train", places)
        assert [float(next(batches)[0][0]) for _ in range(2)] == [0.0, 2.0]
        with pytest.raises(DataError, match=r"^photo\.jpg ends too early$"):
            next(batches)


def test_workers_change_no_weight_and_none_are_left(tiny: RunConfig, tmp_path: Path) -> None:
    tiny = replace(tiny, epochs=1)
    for workers in (0, 1, 2):
        train(replace(tiny, workers=workers), tmp_path / str(workers))
    assert same_weights(tmp_path / "0", tmp_path / "1")
    assert same_weights(tmp_path / "0", tmp_path / "2")
    assert not multiprocessing.active_children()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs POSIX signals")
def test_ctrl_c_with_workers_is_one_sentence_and_the_run_goes_on(
    tmp_path: Path, tempreg: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    flags = ["--num-steps=2", "--model.channels=[4, 8]", "--epochs=2", "--batch-size=4"]
    flags += ["--data.train-size=300"]
    whole = tempreg("train", "nmnist-trt", *flags, "--out", "whole", "--workers", "0")
    assert whole.returncode == 0, whole.stderr
    process = subprocess.Popen(
        [*COMMAND, "train", "nmnist-trt", *flags, "--out", "cut", "--workers", "1"],
        cwd=tmp_path,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    metrics = tmp_path / "cut" / "metrics.jsonl"
    for _ in range(1200):
        if (metrics.exists() and metrics.read_text()) or process.poll() is not None:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert len(said(errors)) == 1
    for _ in range(200):  # the last of them ends when it sees that its parent has
        if not alive_in_group(process.pid):
            break
        time.sleep(0.05)
    assert not alive_in_group(process.pid)
    done = tempreg("train", "--resume", "--out", "cut")
    assert done.returncode == 0, done.stderr
    assert same_weights(tmp_path / "whole", tmp_path / "cut")


class KillWorker(Reporter):
    """Kills the process that reads ahead after some batches, while the network computes."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def step(self, samples: int, running: Evaluation) -> None:
        self.left -= 1
        if self.left == 0:
            (worker,) = multiprocessing.active_children()
            worker.kill()
            worker.join()


def train_until_the_worker_is_killed(config: RunConfig, out: Path) -> None:
    """In a process of its own: torch may tell of the loss more than once."""
    with pytest.raises(WorkerLost, match="killed"):
        train(config, out, reporter=KillWorker(25))


def test_a_worker_that_is_killed_ends_the_run_in_a_sentence(
    tiny: RunConfig, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (replace(tiny, workers=1), tmp_path / "run")
    process = context.Process(target=train_until_the_worker_is_killed, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode == 0
    train(tiny, tmp_path / "run", resume=True)
    train(tiny, tmp_path / "whole")
    assert same_weights(tmp_path / "run", tmp_path / "whole")


def test_a_run_goes_on_with_other_workers(tiny: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "run", reporter=StopAfter(25))
    summary = train(replace(tiny, workers=1), tmp_path / "run", resume=True)
    assert train(replace(tiny, workers=2), tmp_path / "run", resume=True) == summary
    train(tiny, tmp_path / "whole")
    assert same_weights(tmp_path / "run", tmp_path / "whole")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_long_pass_with_workers_opens_no_more_and_more_files() -> None:
    data = load_dataset("nmnist", num_steps=2)
    with Loader(data, workers=1) as ahead:
        places = [torch.tensor([i % 50]) for i in range(60)]
        counts = [
            len(list(Path("/proc/self/fd").iterdir())) for _ in ahead.batches("train", places)
        ]
    assert max(counts) <= counts[9] + 8, counts  # some batches are on their way at any time
