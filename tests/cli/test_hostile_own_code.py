"""Runs, studies and checkpoints from elsewhere that name code of their own: none of it is run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import yaml

from tests.cli.own_runs import Killed, in_this_process, killed_after_an_epoch, own_place
from tests.conftest import CommandLine


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a network, a loss, a data set and settings, and code that must not run."""
    return own_place(tmp_path)


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("model", "evil:Net"),
        ("model", "./evil.py:Net"),
        ("objective", "evil:Loss"),
        ("data", "evil:Source"),
    ],
)
def test_a_hostile_run_runs_nothing(
    place: Path, tempreg_here: CommandLine, setting: str, name: str
) -> None:
    run = place / "run"
    assert tempreg_here("train", "mine.yaml", "--epochs", "1", "--out", "run").returncode == 0
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["model"] |= {"name": "csnn", "own": None}
    settings[setting]["name"] = name
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    unfinished = place / "unfinished"
    shutil.copytree(run, unfinished)
    (unfinished / "summary.json").unlink()
    bare = place / "bare"  # without the files by which a folder of a run is known
    bare.mkdir()
    shutil.copy(run / "config.yaml", bare)
    commands = [
        "train --resume --out bare",
        "evaluate run",
        "analyze run spikes",
        "predict run one.png",
        "export run --format onnx",
        "export run --format nir",
        "export run --format c",
        "audit run",
        "calibrate run",
        "report run",
        "train --resume --out run",
        "train --resume --out unfinished",
        "train unfinished/config.yaml --out new",
        "compare unfinished/config.yaml --out study --objectives step,tet --seeds 1",
        "compare --out run --only runs/step/000",
        "config unfinished/config.yaml",
        "data check run",
    ]
    quiet = {"report run", "config unfinished/config.yaml"}
    if setting == "objective":  # a study has objectives of its own, and would run
        commands = [command for command in commands if not command.startswith("compare unf")]
    for command in commands:
        answer = _answer(tempreg_here, command)
        assert not (place / "ran").exists(), command
        if command not in quiet:
            assert answer.returncode == 2, (command, answer.stderr)
    for command in ("evaluate run", "train --resume --out unfinished"):
        said = tempreg_here(*command.split()).stderr
        assert f"{setting}.name {name} is code" in said, said
        assert "--trust-code" in said
    assert not (place / "new").exists()


def _answer(run: CommandLine, command: str) -> subprocess.CompletedProcess[str]:
    try:
        return run(*command.split())
    except SystemExit as end:
        return subprocess.CompletedProcess(command, int(end.code or 0), "", "")


def test_a_hostile_study_runs_nothing(
    place: Path, tempreg_here: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_this_process(monkeypatch)
    words = ["compare", "mine.yaml", "--objectives", "step,tet", "--seeds", "1", "--epochs", "1"]
    words += ["--analyses", "none", "--out", "study"]
    assert tempreg_here(*words, "--slurm").returncode == 0  # begins the study, and runs nothing
    base = place / "study" / "base.yaml"
    base.write_text(base.read_text().replace("my_net:Net", "evil:Net"))
    # The person's own command trusts what it names, and not what the folder has in its place.
    assert tempreg_here(*words).returncode == 1
    told = (place / "study" / "runs" / "step" / "000.failed").read_text()
    assert "evil:Net is code" in told
    plan = place / "study" / "study.yaml"
    plan.write_text(plan.read_text().replace("my_net:Net", "evil:Net"))
    for command in (
        "compare --out study --only runs/tet/000",
        "compare --out study --only report",
        "report study",
        "train study/base.yaml --out new",
        "train study/base.yaml --out new --trust my_net:Net",
        "compare study/base.yaml --objectives step,tet --seeds 1 --out other",
    ):
        _answer(tempreg_here, command)
        assert not (place / "ran").exists(), command
        assert not (place / "new").exists()
        assert not (place / "other").exists()


def test_a_hostile_checkpoint_runs_nothing(
    place: Path, tempreg_here: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        killed_after_an_epoch(patch)
        with pytest.raises(Killed):
            tempreg_here("train", "mine.yaml", "--out", "run")
    checkpoint = place / "run" / "checkpoints" / "last.pt"
    torch.save({"model": _Evil(place / "ran")}, checkpoint)
    answer = tempreg_here("train", "mine.yaml", "--resume", "--out", "run")
    assert answer.returncode == 2
    assert "may run code" in answer.stderr
    assert not (place / "ran").exists()


class _Evil:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)
