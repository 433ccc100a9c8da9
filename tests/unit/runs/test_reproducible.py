"""What a run's numbers depend on, and what is recorded of it so that it can be repeated."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import tempreg
from tempreg.runs import evaluate_run
from tempreg.runs.analyze import analyze_run
from tempreg.runs.page import write_run_report
from tempreg.training.environment import environment
from tests.bad_inputs import OWN, ask, finished
from tests.conftest import COMMAND

SOURCE = Path(tempreg.__file__).parent
OLD = Path(__file__).parents[2] / "data" / "old_run"
MODULES = {
    "PIL": "pillow", "yaml": "pyyaml", "lightning_fabric": "lightning-fabric",
    "curvlinops": "curvlinops-for-pytorch",
}  # fmt: skip
"""Where a distribution is called otherwise than the module it installs."""
PEERS = {"pandas", "spikingjelly", "snntorch", "norse", "sinabs"}
"""Other libraries, which tempreg measures beside itself or takes models of, but never needs."""
THREADS_AGREE = 1e-5
"""The largest difference of a weight after 6 steps between one and two threads."""


def imported() -> set[str]:
    """The top-level modules that the package imports, at its top or within functions."""
    names: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"tempreg"}


def test_the_environment_names_every_distribution_that_is_imported() -> None:
    packages = environment("eager", torch.device("cpu"), 1)["packages"]
    wanted = {MODULES.get(name, name).replace("_", "-") for name in imported() - PEERS}
    assert wanted <= packages.keys(), wanted - packages.keys()
    for name, version in packages.items():
        if name in ("torch", "tempreg"):
            continue
        try:
            assert version == importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            assert version is None


def test_the_environment_is_what_pip_takes() -> None:
    found = environment("eager", torch.device("cpu"), 1)
    lines = [f"{name}=={version}" for name, version in found["packages"].items() if version]
    for line in lines:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9A-Za-z.+]*", line), line
    assert f"torch=={torch.__version__.partition('+')[0]}" in lines
    for key in ("cpu_capability", "torch_threads", "platform", "python", "device", "backend"):
        assert found[key], key


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.skipif(not (SOURCE.parents[1] / ".git").exists(), reason="needs a checkout")
def test_the_environment_names_the_commit() -> None:
    words = ["git", "-C", str(SOURCE), "rev-parse", "HEAD"]
    head = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    commit = environment("eager", torch.device("cpu"), 1)["commit"]
    assert commit.removesuffix("-dirty") == head


def test_thread_counts_agree_to_a_tolerance(tmp_path: Path) -> None:
    finished(tmp_path)
    shutil.rmtree(tmp_path / "run")
    wider = {"--epochs 1": "--epochs 6", "--batch-size 8": "--batch-size 24", "[4]": "[64]"}
    line = OWN
    for old, new in wider.items():
        line = line.replace(old, new)
    setting = line.split()
    for threads in ("1", "2"):
        subprocess.run(
            [*COMMAND, *setting, "--out", threads],
            cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": threads}, check=True,
            capture_output=True,
        )  # fmt: skip
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("1", "2"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=THREADS_AGREE, atol=THREADS_AGREE)
    recorded = [json.loads((tmp_path / n / "environment.json").read_text()) for n in ("1", "2")]
    assert [each["torch_threads"] for each in recorded] == [1, 2]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A run of an earlier version, and its data, in a folder of their own."""
    shutil.copytree(OLD, tmp_path / "old")
    return tmp_path / "old"


def test_a_run_of_an_earlier_version_is_evaluated_analysed_and_reported(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(old)
    summary = json.loads((old / "run" / "summary.json").read_text())
    evaluation = evaluate_run(Path("run"))
    assert evaluation.accuracy_per_step == summary["accuracy_per_step"]
    assert evaluation.loss == pytest.approx(summary["test_loss"], rel=1e-5)
    found = analyze_run(Path("run"), ["spikes", "fisher"], samples=6, brief=True)
    assert found["fisher"].centroid > 0
    assert write_run_report(Path("run")).is_file()


def test_a_run_of_an_earlier_version_goes_on(old: Path) -> None:
    for name in ("summary.json", "model.safetensors"):
        (old / "run" / name).unlink()
    answer = ask("train --resume --out run", old)
    assert answer.code == 0, answer.lines
    summary = json.loads((old / "run" / "summary.json").read_text())
    before = json.loads((OLD / "run" / "summary.json").read_text())
    assert summary["accuracy_per_step"] == before["accuracy_per_step"]
    assert summary["test_loss"] == pytest.approx(before["test_loss"], rel=1e-5)
