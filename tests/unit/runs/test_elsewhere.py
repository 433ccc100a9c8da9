"""Runs that a GPU trained, used and continued on a machine without one."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tempreg.config import ConfigError, RunConfig, config_text, read_config
from tempreg.runs import evaluate_run, load_run, train
from tempreg.runs.identity import digest
from tempreg.training.interrupt import Interrupted
from tempreg.training.run_directory import RunDirectoryError
from tests.conftest import CommandLine, said, same_weights
from tests.spoilt import arrays
from tests.unit.limits.test_whole_runs import config
from tests.unit.runs.test_resume import StopAfter

GPU = {"device": "cuda:0", "device_name": "NVIDIA H100", "backend": "compiled"}
KINDS: list[dict[str, Any]] = [
    {"precision": "16-mixed"},
    {"device": "cuda", "precision": "bf16-mixed", "backend": "compiled"},
    {"device": "cuda", "precision": "16-mixed", "devices": 4, "sync_batch_norm": True},
]
"""Settings of runs as a GPU leaves them."""

pytestmark = [
    pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here"),
    pytest.mark.usefixtures("without_pictures"),
]


def own(folder: Path, **settings: Any) -> RunConfig:
    np.savez(folder / "own.npz", **arrays())
    return replace(config(folder, epochs=2), device="auto", **settings)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("trained")
    train(own(folder), folder / "run")
    return folder / "run"


def as_by_a_gpu(run: Path, **settings: Any) -> None:
    """What a GPU would have written beside the numbers: settings, what stands for them, device."""
    trained = replace(read_config(run / "config.yaml"), **settings)
    (run / "config.yaml").write_text(config_text(trained))
    if (run / "summary.json").exists():
        summary = json.loads((run / "summary.json").read_text())
        (run / "summary.json").write_text(json.dumps(summary | {"settings": digest(trained)}))
    content = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    content["settings"] = digest(trained)
    if trained.precision == "16-mixed":
        scale = {"scale": 65536.0, "growth_factor": 2.0, "backoff_factor": 0.5}
        content["precision"] = scale | {"growth_interval": 2000, "_growth_tracker": 3}
    torch.save(content, run / "checkpoints" / "last.pt")
    environment = json.loads((run / "environment.json").read_text())
    environment |= GPU | {"precision": trained.precision}
    (run / "environment.json").write_text(json.dumps(environment))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_every_command_reads_it(
    kind: dict[str, Any], trained: Path, tmp_path: Path, tempreg_here: CommandLine
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    wanted = json.loads((tmp_path / "run" / "summary.json").read_text())
    as_by_a_gpu(tmp_path / "run", **kind)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    quantities = ("spikes", "anytime")
    for words in (
        ("predict", "run", "a.png"),
        ("export", "run", "--format", "nir"),
        ("analyze", "run", *quantities, "--samples", "4"),
        ("analyze", "run", *quantities, "--samples", "4", "--device", "cpu"),
        ("report", "run"),
        ("train", "--resume", "--out", "run"),
    ):
        result = tempreg_here(*words)
        assert result.returncode == 0, (words, result.stderr)
        assert not [line for line in said(result.stderr) if "warning" in line]
    half = kind.get("precision") == "16-mixed"
    for words in (("evaluate", "run"), ("evaluate", "run", "--device", "cpu")):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            result = tempreg_here(*words, "--json")
        assert result.returncode == 0, result.stderr
        told = "precision 16-mixed, which needs a CUDA device: it is evaluated with 32-true"
        assert (told in result.stderr) == half
        if kind.get("precision") != "bf16-mixed":
            steps = json.loads(result.stdout)["accuracy_per_step"]
            assert steps == wanted["accuracy_per_step"]


def test_what_is_asked_for_now_is_met_or_refused(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    as_by_a_gpu(tmp_path / "run", device="cuda", precision="16-mixed")
    for asked, sentence in (
        ({"device": "cuda"}, "torch finds no CUDA device here"),
        ({"precision": "16-mixed"}, "precision 16-mixed needs a CUDA device"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            evaluate_run(tmp_path / "run", **asked)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate_run(tmp_path / "run", precision="32-true")
    train(own(tmp_path, precision="64-true"), tmp_path / "double")
    as_by_a_gpu(tmp_path / "double", device="cuda")
    network = load_run(tmp_path / "double")[2]
    assert {p.dtype for p in network.parameters()} == {torch.float64}


@pytest.mark.parametrize("kind", [{"device": "cuda"}, {"device": "cuda", "precision": "16-mixed"}])
def test_it_goes_on_here(kind: dict[str, Any], trained: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(own(tmp_path), tmp_path / "run", reporter=StopAfter(4))
    as_by_a_gpu(tmp_path / "run", **kind)
    begun = read_config(tmp_path / "run" / "config.yaml")
    with pytest.warns(UserWarning, match="goes on with") as told:
        summary = train(begun, tmp_path / "run", resume=True)
    sentences = [str(warning.message) for warning in told]
    assert any("the device cuda:0 and goes on with cpu: its weights will differ" in s
               for s in sentences)  # fmt: skip
    changed = "with precision 16-mixed and goes on with 32-true: its weights will differ"
    assert any(changed in s for s in sentences) == ("precision" in kind)
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert (environment["device"], environment["precision"]) == ("cpu", "32-true")
    (before,) = environment["earlier"]
    assert before["device"] == "cuda:0"
    assert before["precision"] == kind.get("precision", "32-true")
    # It is still the run that was begun, with weights that only arithmetic elsewhere can change.
    assert read_config(tmp_path / "run" / "config.yaml") == begun
    assert train(begun, tmp_path / "run", resume=True) == summary
    assert same_weights(tmp_path / "run", trained)


def test_it_goes_on_with_what_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(own(tmp_path), tmp_path / "run", reporter=StopAfter(4))
    as_by_a_gpu(tmp_path / "run", device="cuda", precision="16-mixed", backend="compiled")
    trained = read_config(tmp_path / "run" / "config.yaml")
    with pytest.raises(RunDirectoryError, match="precision: '16-mixed', not '64-true'"):
        train(replace(trained, precision="64-true"), tmp_path / "run", resume=True)
    with pytest.raises(RunDirectoryError, match="has seed: 0, not 1"):
        train(replace(trained, seed=1), tmp_path / "run", resume=True)
    here = replace(trained, device="cpu", precision="bf16-mixed", backend="eager")
    with (
        pytest.warns(UserWarning, match="goes on with bf16-mixed"),
        pytest.warns(UserWarning, match="goes on with eager"),
        pytest.warns(UserWarning, match="goes on with cpu"),
    ):
        train(here, tmp_path / "run", resume=True)
    assert read_config(tmp_path / "run" / "config.yaml") == trained
    (tmp_path / "run" / "summary.json").unlink()
    as_by_a_gpu(tmp_path / "run", device="auto", precision="32-true")
    trained = read_config(tmp_path / "run" / "config.yaml")
    with pytest.raises(ConfigError, match="device cuda was asked for"):
        train(replace(trained, device="cuda"), tmp_path / "run", resume=True)
