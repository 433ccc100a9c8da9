"""A study as SLURM jobs: an array task a trial, an array task a run, and a last job that reports.

In STUDY/slurm: task.sh runs one line of trials.txt or runs.txt, report.sh gathers the results,
and submit.sh hands all to sbatch, each stage after the one before; logs/ has what they say.
A study that is submitted again repeats only what isn't finished.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tempreg.files import write_text
from tempreg.runs.own.trust import NOTHING, Trust, code_in
from tempreg.study.plan.plan import Plan, StudyError

LARGEST_ARRAY = 1000
"""Tasks of one array; SLURM's own limit, MaxArraySize, is 1001 unless it was raised."""

REPORT = "report"
"""What stands for the last job where a run is named."""

_HEADER = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --ntasks=1
#SBATCH --output="{logs}/%x-{job}.log"
"""

_TASK = """\
# Two minutes before the time is up, a run saves its state; submitted again it goes on from there.
#SBATCH --signal=B:TERM@120
{options}
# task.sh LIST OFFSET: the run in this line of the list.
set -eu
run=$(sed -n "$((SLURM_ARRAY_TASK_ID + $2))p" "$1")
cd {here}
export OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-1}}"
# SLURM starts one task; where a run has several devices, it starts their processes itself.
export SLURM_JOB_NAME=interactive
exec {compare} --only "$run"
"""


def write_jobs(
    plan: Plan,
    root: Path,
    *,
    options: Sequence[str],
    jobs: int | None,
    trust: Trust = NOTHING,
) -> Path:
    """Replace the job files of a study whose plan is written; returns submit.sh.

    Args:
        options: of sbatch, for each trial and run, without their hyphens: "gres=gpu:1".
        jobs: at most so many runs at once; None: as many as SLURM allows.
        trust: code that a person named, whose names the job files pass on.

    Raises:
        StudyError: its runs need several nodes each, or no job file can name the folder.
    """
    if plan.base.num_nodes > 1:
        raise StudyError(
            f"--slurm makes runs of one node each, and num_nodes is {plan.base.num_nodes}: leave "
            "it out"
        )
    root = root.resolve()
    if odd := [c for c in str(root) if c == '"' or not c.isprintable()]:
        raise StudyError(f"--slurm can't name {str(root)!r} in a job file: it has {odd[0]!r}")
    folder = root / "slurm"
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "tempreg", "compare", "--out", str(root)]
    code = {name for run in plan.runs(root, {}) for name in code_in(plan.config(run)).values()}
    for name in sorted(code):
        words += ["--trust", name] if trust.everything or name in trust.names else []
    name, logs = f"tempreg-{root.name}".replace(" ", "_"), folder / "logs"
    task = _TASK.format(
        options="\n".join(f"#SBATCH --{option}" for option in options),
        here=shlex.quote(str(Path.cwd())),  # settings may hold paths that are relative to it
        compare=shlex.join(words),
    )
    write_text(folder / "task.sh", _HEADER.format(name=name, logs=logs, job="%A_%a") + task)
    report = f"exec {shlex.join(words)} --only {REPORT}\n"
    write_text(folder / "report.sh", _HEADER.format(name=name, logs=logs, job="%j") + report)
    stages = {"trials": plan.trial_runs(root), "runs": plan.runs(root, {})}
    submit = ["#!/bin/bash", "set -eu", f"cd {shlex.quote(str(folder))}", "after="]
    for stage, runs in stages.items():
        names = [run.folder.relative_to(root).as_posix() for run in runs]
        write_text(folder / f"{stage}.txt", "".join(f"{name}\n" for name in names))
        submit += _submissions(stage, len(names), jobs)
    submit.append("sbatch $after report.sh")
    path = folder / "submit.sh"
    write_text(path, "\n".join(submit) + "\n")
    return path


def _submissions(stage: str, tasks: int, jobs: int | None) -> list[str]:
    """Lines that submit a stage, and make what comes later wait for it, however it ends."""
    lines, names = [], []
    for offset in range(0, tasks, LARGEST_ARRAY):
        array = f"1-{min(LARGEST_ARRAY, tasks - offset)}" + (f"%{jobs}" if jobs else "")
        names.append(f"{stage}_{offset}")
        lines.append(
            f"{names[-1]}=$(sbatch --parsable $after --array={array} task.sh {stage}.txt {offset})"
        )
    if names:
        lines.append("after=--dependency=afterany:" + ":".join(f"${{{n}%%;*}}" for n in names))
    return lines
