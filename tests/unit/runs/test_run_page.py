"""The page of a run: what its network answered, in words, by class, and as pictures of mistakes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tempreg.config import RunConfig
from tempreg.report.page import render
from tempreg.report.reading import ReportError
from tempreg.report.svg import page_style
from tempreg.runs import train
from tempreg.runs.answers import Answers, classes_section, in_words, interval, read_answers
from tempreg.runs.mistakes import mistakes_section
from tempreg.runs.page import run_page
from tempreg.training.run_directory import RunDirectory


@pytest.fixture(scope="module")
def run(tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "run"
    train(tiny, folder)
    return folder


def answers() -> Answers:
    """Three classes: a is right in 3 of 4, b always, c never."""
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2])
    said = np.array([0, 0, 0, 1, 1, 1, 0, 0, 1])
    sure = np.array([0.9, 0.8, 0.7, 0.6, 0.9, 0.9, 0.55, 0.95, 0.5])
    return Answers(np.arange(9) + 100, labels, said, sure, ("a", "b", "c"))


def test_what_was_answered_in_words_and_by_class() -> None:
    found = answers()
    assert found.confusion.tolist() == [[3, 1, 0], [0, 2, 0], [2, 1, 0]]
    assert in_words(found) == (
        "The network is right on 5 of 9 test items: 55.6% (95% interval 26.7 to 81.1). It knows b "
        "best (100%) and c least (0%), which it takes most often for a (2 times)."
    )
    with page_style():
        section = classes_section(found)
    assert section.tables[0].rows[:2] == [
        ["c", "3", "0.0", "0.0 to 56.1", "a (2)"], ["a", "4", "75.0", "30.1 to 95.4", "b (1)"],
    ]  # fmt: skip
    assert (
        "Most common: c as a 2 times; a as b 1 times; c as b 1 times." in section.pictures[0].words
    )
    assert found.worst(2).tolist() == [7, 3]


def test_intervals_are_wilson_s() -> None:
    """His formula (1927), with z of 95%."""
    z, right, of = 1.959963984540054, 3, 4
    middle = (right / of + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * np.sqrt(right / of * (1 - right / of) / of + (z / of) ** 2 / 4)
    assert interval(right, of) == pytest.approx((middle - half, middle + half))


def test_the_page_of_a_run_shows_its_mistakes(run: Path) -> None:
    found = read_answers(RunDirectory(run), None)
    assert found is not None
    accuracy = (found.labels == found.answers).mean()
    with page_style():
        page = run_page(run)
        text = render(page)
    by_title = {section.title: section for section in page.sections}
    assert by_title["Result"].paragraphs[0].startswith("The network is right on ")
    assert f": {100 * accuracy:.1f}% (95%" in by_title["Result"].paragraphs[0]
    assert len(by_title["Classes"].tables[0].rows) == len(np.unique(found.labels))
    (picture,) = by_title["Surest mistakes"].pictures
    shown = [axes for axes in picture.figure.axes if axes.images]
    assert len(shown) == 6 * 2  # recordings at each of two timesteps
    assert text.count("data:image/png;base64,") >= len(shown)
    worst = found.worst(1)[0]
    names = RunDirectory(run).read_json(run / "data.json")["classes"]
    assert f"{names[found.labels[worst]]} taken for {names[found.answers[worst]]}" in picture.words


def test_without_the_data_mistakes_are_told_in_words(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    found = answers()
    with page_style():
        other = mistakes_section(folder, found)
    assert other is not None
    assert "another than was tested" in other.paragraphs[1]
    settings = (folder / "config.yaml").read_text()
    for name, why in (
        ("event-folder\n  path: /nowhere\n", "can't be read here"), ("mine:Data\n", "needs code"),
    ):  # fmt: skip
        (folder / "config.yaml").write_text(
            settings.replace("name: nmnist\n  path: null\n", f"name: {name}")
        )
        section = mistakes_section(folder, found)
        assert section is not None
        assert not section.pictures
        assert section.paragraphs[1].startswith("c taken for a (95%); a taken for b (60%)")
        assert why in section.paragraphs[1]


@pytest.mark.parametrize(
    "arrays",
    [
        {"items": [0], "labels": [5], "probabilities": [[0.5, 0.5]]},
        {"items": [0, 1], "labels": [0], "probabilities": [[0.5, 0.5]]},
        {"items": [0], "labels": [0], "probabilities": [[np.nan, 0.5]]},
        {"items": [0], "labels": [0.5], "probabilities": [[0.5, 0.5]]},
    ],
)
def test_damaged_answers_are_refused(tmp_path: Path, arrays: dict[str, object]) -> None:
    np.savez(tmp_path / "test_items.npz", **arrays)
    with pytest.raises(ReportError, match=r"test_items\.npz is damaged"):
        read_answers(RunDirectory(tmp_path), None)


def test_runs_of_earlier_versions_have_no_such_sections(tmp_path: Path) -> None:
    assert read_answers(RunDirectory(tmp_path), ["a"]) is None
    np.savez(tmp_path / "test_items.npz", correct=[[1]], items=[0])
    assert read_answers(RunDirectory(tmp_path), ["a"]) is None
