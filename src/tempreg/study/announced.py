"""What a study is going to do, in a few lines before it does it."""

from __future__ import annotations

from pathlib import Path

from tempreg.study.plan.plan import Plan, Run
from tempreg.training.run_directory import RunDirectory


def plan_lines(plan: Plan, root: Path, jobs: int) -> list[str]:
    """How many runs of how many epochs, which arms, what is tried before, what is analysed after.

    How long it takes nobody knows before a run has ended; then each line says it.
    """
    first = plan.replicates[0].name
    runs = plan.runs(root, {})
    epochs = sorted({plan.config(run).epochs for run in runs if run.replicate == first})
    many = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    lines = [
        f"{root}: {_count(len(plan.arms), 'arm')} x {_count(len(plan.replicates), 'seed')} = "
        f"{_count(len(runs), 'run')} of {many} epoch{'s' * (many != '1')}, {jobs} at once",
        f"arms: {', '.join(arm.name for arm in plan.arms)}; compared with {plan.reference}",
    ]
    trials = plan.trial_runs(root)
    if trials:
        short = plan.trial_epochs
        of_epochs = "" if short is None else f" of {_count(short, 'epoch')}"
        lines.append(
            f"before: {_count(len(trials), 'trial')}{of_epochs} on "
            f"{_count(plan.trial_seeds, 'seed')} of their own, and more where the best is at an "
            "edge"
        )
    if plan.analyses:
        lines.append(
            f"after each run: {', '.join(plan.analyses)} ({_count(plan.samples, 'sample')})"
        )
    there = sum(map(_finished, runs))
    tried = sum(map(_finished, trials))
    if there or tried:
        counts = [_count(tried, "trial")] if tried else []
        lines.append(f"trained already: {' and '.join([*counts, _count(there, 'run')])}")
    return lines


def _finished(run: Run) -> bool:
    return RunDirectory(run.folder).summary.exists()


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'s' * (number != 1)}"
