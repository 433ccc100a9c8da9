"""`tempreg analyze` and what a run measures of itself while it trains."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tempreg.analysis import Fisher, TemporalGradients
from tempreg.cli.analyze import QUANTITIES
from tempreg.config import RunConfig
from tempreg.errors import RequestError
from tempreg.runs import load_run, train
from tempreg.runs.analyze import ANALYSES, analyze_run
from tempreg.runs.observers import observer_for
from tempreg.training.interrupt import Interrupted
from tempreg.training.progress import Reporter
from tempreg.training.run_directory import RunDirectory
from tests.conftest import CommandLine, same_weights


@pytest.fixture(scope="module")
def finished(tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analyze") / "run"
    train(replace(tiny, fisher_every=2, snapshot_every=2), folder)
    return folder


def lines(run: Path) -> list[dict[str, object]]:
    text = (run / "analysis" / "fisher_over_training.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_analyze_writes_results_figures_and_tables(
    tempreg: CommandLine, tempreg_here: CommandLine, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    words = ("analyze", "run", "all", "--samples", "12", "--seed", "3")
    result = tempreg(*words)
    assert result.returncode == 0, result.stderr
    assert "temporal gradients, trt" in result.stderr
    assert "decay a step" in result.stdout
    folder = tmp_path / "run" / "analysis"
    names = {p.stem for p in folder.glob("*.json")}
    assert names == {
        "gradients-rate", "gradients-step", "gradients-tet", "gradients-trt",
        "gradients-epoch-0001", "gradients-epoch-0002", "gradients-own", "fisher",
        "fisher-held-out", "fisher-epoch-0001", "fisher-epoch-0002", "flatness",
        "spikes-held-out", "anytime-held-out", "step-transfer-held-out", "probes-held-out",
        "robustness-held-out", "exits-held-out", "curvature",
    }  # fmt: skip
    assert {p.stem for p in folder.glob("*.svg")} == names
    made = {n: TemporalGradients.load(folder / f"gradients-{n}.json") for n in ("rate", "trt")}
    assert made["trt"].settings["samples"] == 12
    assert made["trt"].settings["split"] == "train"
    assert (made["rate"].norms != made["trt"].norms).any()
    assert made["trt"].penalty_norms.any()
    fisher = Fisher.load(folder / "fisher.json")
    last = Fisher.load(folder / "fisher-epoch-0002.json")
    np.testing.assert_array_equal(fisher.per_step, last.per_step)
    before = (folder / "fisher.json").read_bytes()
    # In another process, the same bits.
    assert tempreg_here("analyze", "run", "fisher", *words[3:]).returncode == 0
    assert (folder / "fisher.json").read_bytes() == before
    assert tempreg_here("analyze", "run", "fisher", "--samples", "12").returncode == 0
    assert (folder / "fisher.json").read_bytes() != before


def test_registered_names() -> None:
    assert tuple(ANALYSES) == QUANTITIES


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("unfinished", "is not finished"),
        ("data", "trained with other settings than its config"),
        ("older", "config.yaml"),
        ("weights", "damaged"),
        ("none", "holds no run"),
    ],
)
def test_a_folder_that_cannot_be_analysed(
    finished: Path, tmp_path: Path, damage: str, words: str
) -> None:
    run = tmp_path / "run"
    if damage != "none":
        shutil.copytree(finished, run)
        shutil.rmtree(run / "analysis")
    config = run / "config.yaml"
    if damage == "unfinished":
        (run / "model.safetensors").unlink()
    elif damage == "data":
        config.write_text(config.read_text().replace("name: nmnist", "name: fashion-mnist"))
    elif damage == "older":
        config.write_text(config.read_text() + "warmth: 3\n")
    elif damage == "weights":
        (run / "model.safetensors").write_bytes(b"x" * 40)
    with pytest.raises(RequestError, match=words):
        analyze_run(run, ["fisher"], samples=4)
    assert not (run / "analysis").exists()


def test_bad_requests(finished: Path, tempreg: CommandLine) -> None:
    with pytest.raises(RequestError, match="samples must be >= 1"):
        analyze_run(finished, ["fisher"], samples=0)
    with pytest.raises(RequestError, match="unknown analysis"):
        analyze_run(finished, ["luck"])
    with pytest.raises(RequestError, match="draws must be >= 1"):
        analyze_run(finished, ["flatness"], draws=0)
    with pytest.raises(RequestError, match="unknown labels 'guessed'"):
        analyze_run(finished, ["fisher"], labels="guessed")
    assert "choose from" in tempreg("analyze", "run", "luck").stderr


def test_measuring_does_not_change_the_run(tiny: RunConfig, finished: Path, tmp_path: Path) -> None:
    train(tiny, tmp_path / "plain")
    assert same_weights(tmp_path / "plain", finished)
    assert [line["epoch"] for line in lines(finished)] == [1, 2]
    kept = sorted(path.name for path in (finished / "checkpoints").glob("epoch-*"))
    assert kept == ["epoch-0001.safetensors", "epoch-0002.safetensors"]
    assert not (tmp_path / "plain" / "analysis").exists()


class StopAfterTheFirstEpoch(Reporter):
    def step(self, samples: int, running: object) -> None:
        import os
        import signal

        if getattr(self, "ended", 0):
            os.kill(os.getpid(), signal.SIGINT)

    def epoch(self, *_: object) -> None:
        self.ended = 1


def test_resumed_runs_have_each_line_once(tiny: RunConfig, finished: Path, tmp_path: Path) -> None:
    config = replace(tiny, fisher_every=2, snapshot_every=2)
    with pytest.raises(Interrupted):
        train(config, tmp_path / "run", reporter=StopAfterTheFirstEpoch())
    assert [line["epoch"] for line in lines(tmp_path / "run")] == [1]
    train(config, tmp_path / "run", resume=True)
    assert lines(tmp_path / "run") == lines(finished)


def test_an_epoch_that_ends_again_replaces_its_line(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    config, data, network, _ = load_run(tmp_path / "run")
    observe = observer_for(config, data, RunDirectory(tmp_path / "run"))
    observe(2, network)
    observe(2, network)
    assert lines(tmp_path / "run") == lines(finished)
    observe(1, network)
    assert [line["epoch"] for line in lines(tmp_path / "run")] == [1]
