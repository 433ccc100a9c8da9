"""The report of one run, from its folder's files alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tempreg.report.analyses import OVER_TRAINING, analysis_section, centroids, read_analyses
from tempreg.report.page import Page, Picture, Section, Table, write_page
from tempreg.report.reading import numbers, read_json, read_metrics, read_text
from tempreg.report.study_figures import lines_figure
from tempreg.report.svg import page_style

NAME = "report.html"

_SUMMARY = (
    ("test_accuracy", "Test accuracy, all timesteps", "percent"),
    ("mean_accuracy_over_steps", "Test accuracy, mean over timesteps", "percent"),
    ("val_accuracy", "Validation accuracy", "percent"),
    ("train_accuracy", "Training accuracy", "percent"),
    ("generalization_gap", "Training minus test accuracy", "percent"),
    ("test_loss", "Test loss", "plain"),
    ("epochs", "Epochs", "plain"),
    ("best_val_epoch", "Best epoch by validation", "plain"),
    ("best_val_accuracy", "Validation accuracy there", "percent"),
    ("seconds", "Training time in seconds", "plain"),
    ("peak_memory_mb", "Peak memory in MiB", "plain"),
)


def write_run_report(folder: Path) -> Path:
    """Replace report.html of a run; ReportError where its files don't allow one."""
    path = folder / NAME
    with page_style():
        write_page(run_page(folder), path)
    return path


def run_page(folder: Path) -> Page:
    """What the folder of a run holds, an unfinished one included, as a page."""
    settings = read_text(folder / "config.yaml")
    environment = read_json(folder / "environment.json")
    metrics = read_metrics(folder / "metrics.jsonl")
    summary_file = folder / "summary.json"
    summary = read_json(summary_file) if summary_file.exists() else {}
    sections = [_summary(summary), *_steps(summary), _curves(metrics)]
    sections += [analysis_section(name, a) for name, a in read_analyses(folder).items()]
    if followed := centroids(folder):
        sections.append(_followed(followed))
    sections += [
        Section("Settings", ["config.yaml, whole: the same settings repeat the run."],
                code=[settings]),
        environment_section(environment),
        Section(
            "How to repeat it",
            ["In a copy of this folder, with the versions above:"],
            code=["tempreg train config.yaml --out again\ntempreg report again"],
        ),
    ]  # fmt: skip
    state = "" if summary else " It is not finished."
    lead = f"One training run, as its files have it.{state}"
    return Page(f"Run: {folder.resolve().name}", lead, sections)


def environment_section(environment: dict[str, Any]) -> Section:
    """What was computed with, and the command."""
    packages = environment.get("packages")
    rows = [
        [key.replace("_", " "), str(value)]
        for key, value in environment.items()
        if key not in ("packages", "command", "earlier")
    ]
    rows += [[k, str(v)] for k, v in packages.items() if v] if isinstance(packages, dict) else []
    earlier = environment.get("earlier")
    text = "The run was interrupted, and went on in another environment than it began in."
    command = environment.get("command")
    return Section(
        "Environment",
        [text] if earlier else [],
        [Table("What it was computed with", ["What", "Which"], rows)],
        code=[typed(command)] if isinstance(command, list) and command else [],
    )


def typed(command: Sequence[object]) -> str:
    """A command as it is typed, whatever way the program was started."""
    return shlex.join(["tempreg", *map(str, command[1:])])


def percent(value: float) -> str:
    """A fraction in percent."""
    return f"{100 * value:.2f}%"


def _summary(summary: dict[str, Any]) -> Section:
    rows = []
    for key, words, kind in _SUMMARY:
        value = summary.get(key)
        if isinstance(value, (int, float)):
            rows.append([words, percent(value) if kind == "percent" else f"{value:.6g}"])
    if not rows:
        return Section("Result", ["There is none: the run is not finished."])
    return Section(
        "Result",
        [],
        [Table("With the weights that were kept", ["Figure", "Value"], rows, frozenset({1}))],
    )


def _steps(summary: dict[str, Any]) -> list[Section]:
    values = numbers(summary.get("accuracy_per_step"))
    if values is None:
        return []
    shown = [100 * v for v in values]
    series = {"test": (list(range(1, len(shown) + 1)), shown)}
    words = ", ".join(f"{percent(v)} after {t}" for t, v in enumerate(values, 1))
    picture = Picture(
        lines_figure(series, "timesteps used", "test accuracy in %"),
        "Test accuracy by timestep",
        f"{words}.",
    )
    return [Section("Accuracy by timestep", pictures=[picture])]


def _curves(metrics: list[dict[str, Any]]) -> Section:
    pictures = []
    for key, words, factor in (("loss", "loss", 1), ("accuracy", "accuracy in %", 100)):
        series: dict[str, tuple[list[float], list[float]]] = {}
        for line in metrics:
            value = line.get(key)
            if isinstance(value, (int, float)):
                x, y = series.setdefault(line["split"], ([], []))
                x.append(line["epoch"])
                y.append(factor * value)
        if series:
            ends = "; ".join(
                f"{split} from {y[0]:.4g} to {y[-1]:.4g}" for split, (_, y) in series.items()
            )
            figure = lines_figure(series, "epoch", words)
            pictures.append(Picture(figure, f"{words.capitalize()} by epoch", f"{ends}."))
    text = [] if pictures else ["Not measured: no epoch has ended."]
    return Section("Training", text, pictures=pictures)


def _followed(followed: dict[int, float]) -> Section:
    epochs, values = list(followed), list(followed.values())
    figure = lines_figure({"centroid": (epochs, values)}, "epoch", "centroid in timesteps")
    words = f"{values[0]:.3f} at epoch {epochs[0]}, {values[-1]:.3f} at epoch {epochs[-1]}."
    return Section(
        "Fisher information over training",
        [f"From analysis/{OVER_TRAINING}."],
        pictures=[Picture(figure, "Information centroid by epoch", words)],
    )
