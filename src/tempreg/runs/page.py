"""The report of one run, from its folder's files alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tempreg.analysis import Result
from tempreg.analysis.stored import stored_results
from tempreg.cautions import CHOSEN_ON_TEST
from tempreg.report.analyses import OVER_TRAINING, centroids, spoken
from tempreg.report.page import Page, Picture, Section, Table, write_page
from tempreg.report.reading import numbers, read_json, read_metrics, read_text
from tempreg.report.study_figures import lines_figure
from tempreg.report.svg import page_style
from tempreg.runs.answers import Answers, classes_of, classes_section, in_words, read_answers
from tempreg.runs.early_page import early_section
from tempreg.runs.estimated_page import ESTIMATED, estimated_sections
from tempreg.runs.mistakes import mistakes_section
from tempreg.training.run_directory import RunDirectory

NAME = "report.html"

_SUMMARY = (
    ("test_accuracy", "Test accuracy, all timesteps", "percent"),
    ("mean_accuracy_over_steps", "Test accuracy, mean over timesteps", "percent"),
    ("val_accuracy", "Validation accuracy", "percent"),
    ("train_accuracy", "Training accuracy", "percent"),
    ("test_accuracy_at_last_epoch", "Test accuracy of the last epoch, not chosen", "percent"),
    ("generalization_gap", "Training minus test accuracy", "percent"),
    ("test_r2", "Test R², all timesteps", "plain"),
    ("mean_r2_over_steps", "Test R², mean over timesteps", "plain"),
    ("val_r2", "Validation R²", "plain"),
    ("train_r2", "Training R²", "plain"),
    ("test_mse", "Test mean squared error", "plain"),
    ("val_mse", "Validation mean squared error", "plain"),
    ("train_mse", "Training mean squared error", "plain"),
    ("test_loss", "Test loss", "plain"),
    ("epochs", "Epochs", "plain"),
    ("best_val_epoch", "Best epoch by validation", "plain"),
    ("best_val_accuracy", "Validation accuracy there", "percent"),
    ("best_val_r2", "Validation R² there", "plain"),
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
    run = RunDirectory(folder)
    settings = read_text(run.config)
    environment = read_json(run.environment)
    metrics = read_metrics(run.metrics)
    summary = read_json(run.summary) if run.summary.exists() else {}
    answers = read_answers(run, classes_of(folder)) if summary else None
    sections = [_summary(summary, answers), *_steps(summary)]
    if answers is not None:
        mistakes = mistakes_section(folder, answers)
        sections += [classes_section(answers), *([mistakes] if mistakes else [])]
    if early := early_section(folder):
        sections.append(early)
    sections.append(_curves(metrics))
    sections += [_analysed(name, result) for name, result in stored_results(folder)]
    if followed := centroids(folder):
        sections.append(_followed(followed))
    sections += [
        Section(
            "Settings", ["config.yaml, whole: the same settings repeat the run."], code=[settings]
        ),
        environment_section(environment),
        Section(
            "How to repeat it",
            ["In a copy of this folder, with the versions above:"],
            code=["tempreg train config.yaml --out again\ntempreg report again"],
        ),
    ]
    state = "" if summary else " It is not finished."
    lead = f"One training run, as its files have it.{state}"
    marked = any(line.get("chosen_on_test") for line in (summary, *metrics))
    if marked:
        lead += f" {CHOSEN_ON_TEST}"
        shown = ("Result", "Accuracy by timestep", "Training")
        sections = [
            replace(s, paragraphs=[CHOSEN_ON_TEST, *s.paragraphs]) if s.title in shown else s
            for s in sections
        ]
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


def _gap(summary: dict[str, Any]) -> str:
    """How training and test accuracy lie apart, in words; "" where they weren't measured."""
    gap = summary.get("generalization_gap")
    if not isinstance(gap, (int, float)):
        return ""
    if gap < 0.005:
        return "On training data it is no better than on test data."
    return f"On training data it is {100 * gap:.1f} points better."


def _summary(summary: dict[str, Any], answers: Answers | None) -> Section:
    rows = []
    for key, words, kind in _SUMMARY:
        value = summary.get(key)
        if isinstance(value, (int, float)):
            rows.append([words, percent(value) if kind == "percent" else f"{value:.6g}"])
    if not rows:
        return Section("Result", ["There is none: the run is not finished."])
    return Section(
        "Result",
        [
            *([] if answers is None else [f"{in_words(answers)} {_gap(summary)}".strip()]),
            *([ESTIMATED] if "test_r2" in summary else []),
            *(f"{said[:1].upper()}{said[1:]}." for said in summary.get("cautions", ())),
        ],
        [Table("With the weights that were kept", ["Figure", "Value"], rows, frozenset({1}))],
    )


def _steps(summary: dict[str, Any]) -> list[Section]:
    values = numbers(summary.get("accuracy_per_step"))
    if values is None:
        return estimated_sections(summary)
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
    for key, words, factor in (
        ("loss", "loss", 1),
        ("accuracy", "accuracy in %", 100),
        ("r2", "R²", 1),
        ("mean_squared_error", "mean squared error", 1),
    ):
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
            pictures.append(Picture(figure, f"{words[:1].upper()}{words[1:]} by epoch", f"{ends}."))
    text = [] if pictures else ["Not measured: no epoch has ended."]
    return Section("Training", text, pictures=pictures)


def _analysed(name: str, result: Result) -> Section:
    """An analysis as its own figure and table show it."""
    made = [[spoken(key), _setting(value)] for key, value in result.settings.items()]
    return Section(
        spoken(name),
        tables=[Table("How it was measured", ["Setting", "Value"], made)],
        pictures=[
            Picture(result.figure(), spoken(name), "Its main numbers are in the lines below.")
        ],
        code=[result.table()],
    )


def _setting(value: object) -> str:
    """A setting of an analysis in words, not as Python prints it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_setting, value)) if isinstance(value, (list, tuple)) else str(value)


def _followed(followed: dict[int, float]) -> Section:
    epochs, values = list(followed), list(followed.values())
    figure = lines_figure({"centroid": (epochs, values)}, "epoch", "centroid in timesteps")
    words = f"{values[0]:.3f} at epoch {epochs[0]}, {values[-1]:.3f} at epoch {epochs[-1]}."
    return Section(
        "Fisher information over training",
        [f"From analysis/{OVER_TRAINING}."],
        pictures=[Picture(figure, "Information centroid by epoch", words)],
    )
