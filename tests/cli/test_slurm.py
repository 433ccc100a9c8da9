"""Studies as SLURM jobs: the files are run as written, by a stand-in for sbatch."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.conftest import CommandLine

STUDY = (
    "compare", "nmnist-trt", "--objectives", "trt", "--seeds", "1", "--trials", "1",
    "--trial-seeds", "1", "--epochs", "1", "--num-steps", "2", "--model.channels",
    "[4, 8]", "--analyses", "none", "--out", "a study",
)  # fmt: skip

# Runs what it is given, each task in turn, as SLURM would: with its variables and the log file
# that the script asks for; keeps its own arguments. A stage must not start before those it names.
SBATCH = r"""#!/bin/bash
set -u
echo "$@" >> "$SUBMITTED"
job=$((1000 + $(wc -l < "$SUBMITTED")))
tasks=0
while [[ $1 == --* ]]; do
    case $1 in --array=*) tasks=${1#--array=1-} ;; esac
    shift
done
script=$1; shift
export SLURM_JOB_ID=$job SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NNODES=1
export SLURM_JOB_NAME=study
for task in $(if [[ $tasks == 0 ]]; then echo 0; else seq "${tasks%\%*}"; fi); do
    SLURM_ARRAY_TASK_ID=$task bash "$script" "$@" >> "$SUBMITTED.log" 2>&1 \
        || echo "task $task of $script failed" >> "$SUBMITTED.log"
done
echo "$job;cluster"
"""


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the stand-in in place; the file that has what was submitted."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sbatch").write_text(SBATCH)
    (tools / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    submitted = tmp_path / "submitted"
    submitted.touch()
    monkeypatch.setenv("SUBMITTED", str(submitted))
    return submitted


def test_a_study_through_slurm_is_the_study(
    tempreg: CommandLine, tmp_path: Path, sbatch: Path
) -> None:
    laid_out = tempreg(*STUDY, "--slurm", "--jobs", "5", "--sbatch", "time=2:00:00")
    assert laid_out.returncode == 0, laid_out.stderr
    study, slurm = tmp_path / "a study", tmp_path / "a study" / "slurm"
    assert laid_out.stdout == "submit it with: bash 'a study/slurm/submit.sh'\n".replace(
        "a study", str(study)
    )
    task = (slurm / "task.sh").read_text()
    assert "#SBATCH --time=2:00:00\n" in task
    assert f"\ncd {tmp_path}\n" in task
    assert (slurm / "trials.txt").read_text() == "trials/trt/0\n"
    early = tempreg("compare", "--out", "a study", "--only", "runs/trt/000")
    assert early.returncode == 2
    assert "trials/trt/0 has not ended: run that first" in early.stderr
    assert not (study / "runs").exists()

    os.system(f"bash '{slurm / 'submit.sh'}'")  # as a user does
    log = sbatch.with_suffix(".log").read_text()
    assert "failed" not in log, log
    trials, runs, report = sbatch.read_text().splitlines()
    assert trials == "--parsable --array=1-1%5 task.sh trials.txt 0"
    assert runs == "--parsable --dependency=afterany:1001 --array=1-1%5 task.sh runs.txt 0"
    assert report == "--dependency=afterany:1002 report.sh"
    with (study / "results.csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["finished"]
    assert json.loads((study / "chosen.json").read_text())["trt"].keys() == {"objective.lam"}
    assert (study / "report.html").exists()

    before = [(study / name).read_bytes() for name in ("results.csv", "chosen.json")]
    again = tempreg(*STUDY)
    assert again.returncode == 0, again.stderr
    assert "1 trial was finished already\n1 run was finished already" in again.stdout
    assert before == [(study / name).read_bytes() for name in ("results.csv", "chosen.json")]


OWN = """
import tempreg
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes, in_channels, hidden):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, hidden, 3, stride=4)
        self.lif = tempreg.LIF()
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x):
        current = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.head(self.lif(current).mean(dim=(3, 4)))
"""


def test_a_task_with_a_network_of_ones_own(tempreg_here: CommandLine, tmp_path: Path) -> None:
    """The job file passes on the name that was typed, and finds it from the folder of the job."""
    (tmp_path / "cluster_net.py").write_text(OWN)
    network = ("--model.name", "cluster_net:Net", "--model.own", "{hidden: 3}", "--epochs", "1")
    laid_out = tempreg_here(
        "compare", "nmnist-trt", *network, "--num-steps", "2", "--objectives", "step", "--seeds",
        "2", "--analyses", "none", "--out", "s", "--slurm",
    )  # fmt: skip
    assert laid_out.returncode == 0, laid_out.stderr
    slurm = tmp_path / "s" / "slurm"
    untold = tempreg_here("compare", "--out", "s", "--only", "runs/step/000")
    assert untold.returncode == 1
    assert "model.name cluster_net:Net is code" in untold.stdout
    assert not list(tmp_path.rglob("*.safetensors"))

    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "2", "SLURM_JOB_ID": "7"}
    bash = ["bash", "task.sh", "runs.txt", "0"]
    task = subprocess.run(
        bash, cwd=slurm, env=environment, capture_output=True, text=True, check=False
    )
    assert task.returncode == 0, task.stderr
    done = tmp_path / "s" / "runs" / "step" / "001"
    assert json.loads((done / "summary.json").read_text())["epochs"] == 1
    assert load_file(done / "model.safetensors")["model.conv.weight"].shape == (3, 2, 3, 3)
    assert [*tmp_path.rglob("model.safetensors")] == [done / "model.safetensors"]


def test_many_runs_become_several_arrays(tempreg: CommandLine, tmp_path: Path) -> None:
    words = [*STUDY, "--slurm", "--seeds", "1100", "--trials", "0", "--out", "s"]
    result = tempreg(*words)
    assert result.returncode == 0, result.stderr
    submit = (tmp_path / "s" / "slurm" / "submit.sh").read_text()
    assert "runs_0=$(sbatch --parsable $after --array=1-1000 task.sh runs.txt 0)" in submit
    assert "runs_1000=$(sbatch --parsable $after --array=1-100 task.sh runs.txt 1000)" in submit
    assert "after=--dependency=afterany:${runs_0%%;*}:${runs_1000%%;*}" in submit
    runs = (tmp_path / "s" / "slurm" / "runs.txt").read_text().splitlines()
    assert (len(runs), runs[1099]) == (1100, "runs/trt/1099")
    unknown = tempreg("compare", "--out", "s", "--only", "runs/trt/1100")
    assert (unknown.returncode, "has no run 'runs/trt/1100'" in unknown.stderr) == (2, True)
    missing = tempreg("compare", "--out", "s", "--only", "report")
    assert missing.returncode == 1
    assert "missing" in (tmp_path / "s" / "results.csv").read_text()


def test_bad_requests(tempreg: CommandLine, tmp_path: Path) -> None:
    for words, sentence in (
        (("nmnist-trt", "--only", "report"), "--only goes with --out alone"),
        (("--epochs", "3", "--only", "report"), "--only goes with --out alone"),
        (("--only", "report"), "holds no study"),
        ((), "name a preset"),
        (("nmnist-trt", "--sbatch", "x=1"), "--sbatch is for the job files of --slurm"),
        (("nmnist-trt", "--slurm", "--sbatch", "x\nrm"), "--sbatch takes one option"),
    ):
        result = tempreg("compare", *words, "--out", "none")
        assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "none").exists()
    nodes = ("--num-nodes", "2", "--batch-size", "2", "--out", "none")
    several = tempreg(*STUDY[:-2], "--slurm", *nodes)
    assert (several.returncode, "makes runs of one node each" in several.stderr) == (2, True)
