"""Does a calibrated exit hold what it promises, on real data? And what does it buy?

    python benchmarks/exit_guarantee.py RUN... [--risk 0.05] [--draws 200]

Of each finished run all held-out samples (validation and test; its last epoch was kept, so neither
chose anything) are the population. From it a calibration set is drawn, of half the samples and at
most 1,000, again and again; the exit that `tempreg.analysis.exits.calibrated` finds on it is held
against all that was not drawn, and against the whole population, whose risk is known. Prints, and
appends to benchmarks/results/exit_guarantee.csv, the share of draws in which the risk was above the
level, which has to be at most delta but for chance, and after how many timesteps the answers came.
"""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path

import numpy as np
import torch

from tempreg.analysis.early_exits import answered
from tempreg.analysis.exits import calibrated
from tempreg.runs import load_run

RESULTS = Path(__file__).parent / "results" / "exit_guarantee.csv"
LARGEST = 1_000
COLUMNS = (
    "run", "held_out", "drawn", "risk", "delta", "draws", "missed_population", "missed_rest",
    "mean_risk", "timesteps", "of", "accuracy", "accuracy_at_exit",
)  # fmt: skip


def held_out(run: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [T, N, C] and targets [N] of the samples that the run neither learnt nor chose by."""
    config, data, network, _ = load_run(run)
    if config.keep != "last":
        raise SystemExit(f"{run} kept an epoch that held-out samples chose (keep: {config.keep})")
    logits, targets = [], []
    with torch.inference_mode():
        for part in (data.validation, data.test):
            for rows in torch.arange(len(part)).split(100):
                x, y = part.batch(rows)
                logits.append(network(x).double())
                targets.append(y)
    return torch.cat(logits, dim=1), torch.cat(targets)


def measured(run: Path, risk: float, delta: float, draws: int) -> dict[str, object]:
    logits, targets = held_out(run)
    count = len(targets)
    drawn = min(count // 2, LARGEST)
    generator = np.random.default_rng(0)
    risks, rest, steps, kept = [], [], [], []
    for draw in range(draws):
        rows = generator.permutation(count)[:drawn]
        found = calibrated(logits[:, rows], targets[rows], risk=risk, delta=delta, seed=draw)
        at, right, last = answered(found, logits, targets)
        lost = last & ~right
        others = np.ones(count, dtype=bool)
        others[rows] = False
        risks.append(lost.mean())
        rest.append(lost[others].mean())
        steps.append(at[others].mean())
        kept.append(right[others].mean())
    values = (
        "/".join(run.parts[-4:]), count, drawn, risk, delta, draws,
        float(np.mean(np.array(risks) > risk)), float(np.mean(np.array(rest) > risk)),
        float(np.mean(rest)), float(np.mean(steps)), len(logits), float(last.mean()),
        float(np.mean(kept)),
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--risk", type=float, default=0.05)
    parser.add_argument("--delta", type=float, default=0.1)
    parser.add_argument("--draws", type=int, default=200)
    words = parser.parse_args()
    chance = 2 * math.sqrt(words.delta * (1 - words.delta) / words.draws)
    print(f"above the level in at most {words.delta:.3f} of the draws, by chance {chance:.3f} more")
    fresh = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if fresh:
            writer.writeheader()
        for run in words.runs:
            row = measured(run, words.risk, words.delta, words.draws)
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
            print(
                f"{row['run']}: above {words.risk:g} in {row['missed_population']:.3f} of "
                f"{words.draws} draws of {row['drawn']} of {row['held_out']} (among those not "
                f"drawn {row['missed_rest']:.3f}), {row['timesteps']:.2f} of {row['of']} timesteps,"
                f" accuracy {row['accuracy']:.2%}, {row['accuracy_at_exit']:.2%} when answered"
            )


if __name__ == "__main__":
    main()
