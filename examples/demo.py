"""Trains the preset nmnist-trt and, in the same way, the rate objective; compares and draws.

    python examples/demo.py [FOLDER]

Runs already finished in the folder are read, not trained again. What you see is one seed on
300 test recordings: a difference of one or two points between the two is not evidence, and another
processor, which rounds elsewhere, moves single recordings. accuracy.csv has the picture's figures.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

from tempreg.cli.tables import per_step_table
from tempreg.config import PRESETS
from tempreg.report.figures import save_figure, training_figure
from tempreg.runs import train
from tempreg.training.progress import reporter_for
from tempreg.training.run_directory import RunDirectory


def main(folder: Path) -> None:
    trt = PRESETS["nmnist-trt"]()
    configs = {"trt": trt, "rate": replace(trt, objective=replace(trt.objective, name="rate"))}
    summaries, metrics = {}, {}
    for label, config in configs.items():
        print(f"training {config.model.name} with the {label} objective on N-MNIST recordings")
        run = RunDirectory(folder / label)
        summaries[label] = train(config, run.path, resume=True, reporter=reporter_for())
        metrics[label] = run.read_metrics()

    print("\ntest accuracy on 300 recordings, by timesteps used")
    print(per_step_table({k: s["accuracy_per_step"] for k, s in summaries.items()}))
    picture = folder / "training.png"
    save_figure(training_figure(metrics, summaries), picture)
    with (folder / "accuracy.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["objective", *(f"t{t + 1}" for t in range(trt.num_steps))])
        writer.writerows([name, *s["accuracy_per_step"]] for name, s in summaries.items())
    print(f"\npicture: {picture}\nruns:    {', '.join(str(folder / label) for label in configs)}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo"))
