"""Every bad input of tests/bad_inputs.py gets one sentence, leaves nothing, and is in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tools.bad_input_page import PAGE, row

from tests.bad_inputs import CASES, Case, finished, tried


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    finished(folder)
    return folder


def numberless(text: str) -> str:
    """Losses and counts of processors differ between machines, quotes between Pythons."""
    return re.sub(r"\d[\d.e+-]*", "#", text.replace("'", ""))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group}: {case.what}")
def test_one_sentence(case: Case, template: Path, tmp_path: Path) -> None:
    answer = tried(case, template, tmp_path / "place")
    assert answer.code == case.code, answer.lines
    assert len(answer.lines) == 1, answer.lines
    assert case.sentence, "a case without a sentence would pass whatever is said"
    assert case.sentence in answer.lines[0]
    assert not (tmp_path / "place" / "new" / "summary.json").exists()
    if answer.code == 2:
        assert not (tmp_path / "place" / "new").exists()
    assert not list(tmp_path.rglob("*.tmp"))
    assert numberless(row(case, answer)) in numberless(PAGE.read_text(encoding="utf-8")), (
        "run tools/bad_input_page.py"
    )


def test_the_page_has_every_case() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "` | " in line]
    assert len(rows) == len(CASES) + len({case.group for case in CASES})  # a head for each group
    assert len({(case.group, case.what) for case in CASES}) == len(CASES)
