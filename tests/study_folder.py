"""A study's folder for tests: its files as a study leaves them, every number in it made up."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tempreg.analysis import Fisher, TemporalGradients

STEPS, ITEMS, EPOCHS = 4, 60, 3
EFFECTS = {"rate": 0.0, "step": 0.02, "step+mse+l2": 0.03, "trt": 0.031, "anytime": 0.05}


def make_study(
    folder: Path,
    *,
    effects: dict[str, float] | None = None,
    replicates: int = 5,
    failed: str = "",
    seed: int = 0,
) -> Path:
    """Each arm's accuracy is a common one plus its effect plus noise.

    With `failed`, the first arm's last run failed with this error, and the second arm's last
    run is missing.
    """
    rng = np.random.default_rng(seed)
    arms = effects or EFFECTS
    common = 0.8 + 0.02 * rng.standard_normal(replicates)
    rows, costs = [], []
    for place, (arm, effect) in enumerate(arms.items()):
        for i in range(replicates):
            run = f"runs/{place}/{i:03d}"
            row: dict[str, Any] = {"arm": arm, "replicate": f"{i:03d}", "seed": i, "split": "0"}
            if failed and i == replicates - 1 and place < 2:
                status = ("failed", "missing")[place]
                rows.append({**row, "status": status, "error": failed if place == 0 else ""})
                continue
            accuracy = common[i] + effect + 0.004 * rng.standard_normal()
            rows.append({**row, "status": "finished", "error": "", "run": run})
            rows[-1] |= _measure(folder / run, float(accuracy), effect, rng)
            costs.append({"arm": arm, "replicate": row["replicate"], "seconds": 60.0 + place,
                          "peak_memory_mb": 512.0})  # fmt: skip
    _write_csv(folder / "results.csv", rows)
    _write_csv(folder / "costs.csv", costs)
    facts = {
        "version": 1,
        "source": "nmnist-trt",
        "reference": next(iter(arms)),
        "command": "tempreg compare nmnist-trt --objectives rate,trt --seeds 5 --out study",
        "arms": [{"name": a, "changes": {"objective.name": a}, "seed_shift": 0} for a in arms],
        "replicates": [{"name": f"{i:03d}", "changes": {"seed": i}} for i in range(replicates)],
        "base": {"epochs": EPOCHS, "data": {"folds": 0, "validation": 0.1}},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    return folder


def _measure(
    run: Path, accuracy: float, effect: float, rng: np.random.Generator
) -> dict[str, float]:
    run.mkdir(parents=True)
    chance = np.clip(accuracy - 0.05 + 0.1 * np.arange(STEPS) / (STEPS - 1), 0, 1)
    correct = (rng.random((STEPS, ITEMS)) < chance[:, None]).astype(np.uint8)
    np.savez_compressed(run / "test_items.npz", correct=correct, items=np.arange(ITEMS))
    lines = [
        {"epoch": e, "split": split, "loss": 2 / e, "accuracy": accuracy - 0.2 / e}
        for e in range(1, EPOCHS + 1)
        for split in ("train", "validation")
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "config.yaml").write_text("seed: 0\n")
    environment = {"torch": "2.0", "device": "cpu", "packages": {"numpy": "2"},
                   "command": ["tempreg", "train", "x.yaml"]}  # fmt: skip
    (run / "environment.json").write_text(json.dumps(environment))
    summary = {"test_accuracy": accuracy, "accuracy_per_step": chance.tolist(), "epochs": EPOCHS}
    (run / "summary.json").write_text(json.dumps(summary))
    _analyses(run / "analysis", accuracy)
    return {
        "test_accuracy": accuracy,
        "val_accuracy": accuracy + 0.01,
        "train_accuracy": 0.97,
        "generalization_gap": 0.97 - accuracy,
        "mean_accuracy_over_steps": accuracy,
        "best_val_epoch": 2,
        "noise_accuracy_drop": 0.1 - effect + 0.002 * rng.standard_normal(),
        "gradient_decay": 0.5 + 0.1 * rng.standard_normal(),
        "fisher_centroid_first": 2.5,
        "fisher_centroid_end": 2.5 + 10 * effect + 0.02 * rng.standard_normal(),
        "firing_rate": 0.12,
        "weight_norm": 11.0,
        **{f"accuracy_t{t}": float(c) for t, c in enumerate(chance, 1)},
    }


def _analyses(folder: Path, accuracy: float) -> None:
    folder.mkdir()
    steps, layers = np.arange(1.0, STEPS + 1), [f"layer{i}" for i in range(8)]
    by_layer = np.tile(accuracy * steps, (8, 1))
    Fisher(
        layers=layers,
        per_step=accuracy * steps,
        per_layer=by_layer,
        scaled=by_layer,
        centroid=2.5,
        centroid_interval=np.array([2.4, 2.6]),
        settings={"estimator": "exact", "seed": 0},
    ).save(folder / "fisher.json")
    norms = np.tile(accuracy * 0.5 ** np.arange(STEPS), (8, 1))
    norms[0] = np.nan
    TemporalGradients(
        layers=layers,
        weights=["head"],
        norms=norms,
        matrix=np.tile(np.tril(norms[1]), (8, STEPS, 1)),
        decay=np.full(8, 0.5),
        factors=np.full((8, STEPS - 1, 3), 0.5),
        weight_shares=np.full((1, STEPS), 1 / STEPS),
        weight_norms=np.ones((1, STEPS)),
        penalty_norms=np.ones(1),
    ).save(folder / "gradients.json")
    lines = [json.dumps({"epoch": e, "centroid": 2.5 - 0.1 * e}) + "\n" for e in (1, 2, 3)]
    (folder / "fisher_over_training.jsonl").write_text("".join(lines))


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
