"""The least of everything through every command to the page: T 1, one layer of one channel, one
sample to analyse, one test item (and so one class of them), batches of 1."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tempreg.config import RunConfig, config_text
from tempreg.files import as_word
from tempreg.runs import train
from tempreg.runs.analyze import ANALYSES, analyze_run
from tempreg.runs.page import write_run_report
from tests.conftest import CommandLine, said
from tests.processes import draw_nothing, studies_forked
from tests.unit.limits.test_whole_runs import config


def least(folder: Path) -> RunConfig:
    """Settings for 9 images of two classes to train on, and 1 each to validate and to test."""
    images = np.random.default_rng(0).integers(0, 255, (11, 8, 8)).astype(np.uint8)
    labels = np.arange(11) % 2
    parts = {"train": slice(9), "validation": slice(9, 10), "test": slice(10, 11)}
    arrays = {f"x_{name}": images[part] for name, part in parts.items()}
    np.savez(folder / "own.npz", **arrays, **{f"y_{n}": labels[p] for n, p in parts.items()})
    made = config(folder, num_steps=1, model={"channels": [1]}, batch_size=3, fisher_every=1)
    return replace(made, snapshot_every=1)


def test_a_run(tmp_path: Path, tempreg_here: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    train(replace(least(tmp_path), batch_size=1), tmp_path / "run")
    for split in ("train", "test"):
        if split == "test":  # whose pictures are of the same kinds
            draw_nothing(monkeypatch)
        wanted = [name for name in ANALYSES if name != "curvature"]  # a minute
        found = analyze_run(tmp_path / "run", wanted, samples=1, split=split, chunk=1, brief=True)
        for name, result in found.items():
            assert result.table()
            read = type(result).load(tmp_path / "run" / "analysis" / f"{name}.json")
            for array in result.axes:
                assert getattr(read, array).shape == getattr(result, array).shape
    assert "probes-held-out" not in found
    assert write_run_report(tmp_path / "run").is_file()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    for words in (
        ("evaluate", "run"),
        ("evaluate", "run", "--num-steps", "2", "--batch-size", "1"),
        ("predict", "run", "a.png"),
        ("export", "run", "--format", "nir"),
        ("train", "--resume", "--out", "run"),
        ("report", "run"),
    ):
        result = tempreg_here(*words)
        assert (result.returncode, said(result.stderr)) == (0, []), words


def test_a_study(
    tmp_path: Path, tempreg_here: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies_forked(monkeypatch)
    name = "-a study=[1]"
    (tmp_path / "own.yaml").write_text(config_text(least(tmp_path)))
    result = tempreg_here(
        "compare", "own.yaml", "--objectives", "step", "--seeds", "1", "--jobs", "1",
        "--samples", "1", f"--out={name}",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    study = tmp_path / name
    (row,) = csv.DictReader((study / "results.csv").read_text().splitlines())
    assert row["status"] == "finished"
    assert float(row["fisher_centroid"]) == 1.0
    assert "report.html" in {path.name for path in study.iterdir()}
    gradients = json.loads((study / "runs/step/000/analysis/gradients-step.json").read_text())
    layers = len(gradients["layers"])
    assert gradients["arrays"]["factors"]["shape"] == [layers, 0, 4]
    again = tempreg_here("report", as_word(Path(name)))
    assert again.returncode == 0, again.stderr
