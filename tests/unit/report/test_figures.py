"""Figures of runs: drawn from what run folders hold."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

import tempreg
from tempreg import analysis
from tempreg.analysis.figures.time import fisher_figure
from tempreg.report.figures import save_figure, training_figure
from tempreg.report.style import line_styles

METRICS = [
    {"epoch": e, "split": s, "loss": 2.0 / e, "accuracy": 0.3 * e}
    for e in (1, 2, 3)
    for s in ("train", "validation")
]


def drawn() -> Figure:
    summaries = {
        "trt": {"accuracy_per_step": [0.5, 0.75]},
        "rate": {"accuracy_per_step": [0.4, 0.7]},
    }
    return training_figure({"trt": METRICS, "rate": METRICS[:2]}, summaries)


@pytest.fixture
def figure() -> Figure:
    return drawn()


def test_curves_show_what_was_measured(figure: Figure) -> None:
    loss, accuracy, steps = figure.axes
    assert loss.lines[0].get_ydata().tolist() == pytest.approx([2.0, 1.0, 2 / 3])
    assert len(accuracy.lines) == 4
    assert steps.lines[0].get_xdata().tolist() == [1, 2]
    assert steps.lines[1].get_ydata().tolist() == [0.4, 0.7]
    assert [text.get_text() for text in steps.get_legend().texts] == ["trt", "rate"]
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_saving(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"curves.{suffix}"
    save_figure(drawn(), file)
    first = file.read_bytes()
    assert first[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")
    save_figure(drawn(), file)
    assert file.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


def test_lines_can_be_told_apart_without_colour() -> None:
    styles = line_styles(12)
    assert len({(s["linestyle"], s["marker"]) for s in styles}) == 12


def test_fisher_information_with_its_centroid_and_interval() -> None:
    torch.manual_seed(0)
    model = tempreg.create_model("csnn", num_classes=3, num_steps=3, in_channels=1, input_size=8)
    found = analysis.fisher_information(model, torch.rand(6, 1, 8, 8), torch.arange(6) % 3)
    total = fisher_figure(found).axes[0]
    low, high = found.centroid_interval
    said = total.get_legend().texts[1].get_text()
    assert said == f"centroid {found.centroid:.2f} ({low:.2f} to {high:.2f})"
    assert total.get_ylim() == pytest.approx((0, 1.1 * found.per_step.max()))
