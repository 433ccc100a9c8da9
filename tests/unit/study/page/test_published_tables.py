"""The tables of docs/study/claims.md say what the published CSV files say."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from tests.unit.study.page.published import NAMES, ROOT, STUDIES, difference, figure, holm, reading
from tests.unit.study.page.published_pages import (
    UNTESTABLE,
    VERDICTS,
    against_all,
    claims_page,
    measure,
    part_pairs,
    sections,
    table,
)


def test_every_cell_of_the_table_of_claims() -> None:
    head, body = table(claims_page())
    assert sorted(head[2:]) == sorted(NAMES.values())
    assert len(body) == 7
    for claim, words, *cells in body:
        name = measure(words)
        match = re.fullmatch(r".*, (\S+) minus (\S+)", words)
        assert match, words
        lower_is_better = name in ("generalization_gap", "noise_accuracy_drop", "shift")
        for study, cell in zip(head[2:], cells, strict=True):
            d = difference(study, match[1], match[2], name)
            assert d is not None
            p = d.p
            if name == "mean_accuracy_over_steps" and match[2] == "rate":
                p = against_all(study, name)[match[1]][1]
            read = reading(d, name, p)
            if read in ("higher", "lower"):
                read = "supported" if (read == "lower") == lower_is_better else "contradicted"
            if name == "gradient_decay":
                read = UNTESTABLE
            unit = {"gradient_decay": "", "shift": " timesteps"}.get(name, " points")
            assert cell == f"{read}: {figure(d, name)}{unit}", (claim, study)
            assert sum(cell.startswith(f"{verdict}: ") for verdict in VERDICTS) == 1


def test_every_cell_of_the_tables_of_parts() -> None:
    found = sections()
    assert len(found) == 8
    for title, text in found.items():
        name = measure(title)
        head, body = table(text)
        pairs = part_pairs(text)
        for place, study in enumerate(head[2:], 2):
            tests = [difference(study, arm, other, name) for arm, other in pairs]
            adjusted = iter(holm([d.p for d in tests if d is not None]))
            for row, d in zip(body, tests, strict=True):
                wanted = "-"
                if d is not None:
                    wanted = f"{reading(d, name, next(adjusted))}: {figure(d, name)}"
                assert row[place] == wanted, (title, study, row[1])


def test_no_two_pages_read_one_difference_as_two_things() -> None:
    """A pair in both kinds of table: Holm over other sets of tests may not change the word."""
    opposite = {"higher": {"supported", "contradicted"}, "lower": {"supported", "contradicted"}}
    body = table(claims_page())[1]
    parts = {measure(title): text for title, text in sections().items()}
    compared = 0
    for _, words, *cells in body:
        arm, other = re.findall(r"(\S+) minus (\S+)$", words)[0]
        for row in table(parts[measure(words)])[1]:
            if row[1] == f"`{arm}` minus `{other}`":
                for ours, theirs in zip(cells, row[2:], strict=True):
                    word = theirs.split(":")[0]
                    agreeing = opposite.get(word, {word}) | {UNTESTABLE}
                    assert ours.split(":")[0] in agreeing, (words, ours, theirs)
                    compared += 1
    assert compared == 21


def test_published_pages_are_those_that_the_tool_writes() -> None:
    """Figures apart, whose numbers another matplotlib may write otherwise; their captions with."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        tool = importlib.import_module("publish_studies")
    finally:
        sys.path.remove(str(ROOT / "tools"))
    written = tool.pages(STUDIES)
    assert len(written) == 1 + len(NAMES)
    for path, text in written.items():
        now, then = (re.sub(r"<svg.*?</svg>", "", t, flags=re.S) for t in (text, path.read_text()))
        assert now == then, f"{path} is of an older version: python tools/publish_studies.py"


def test_no_page_says_both_or_by() -> None:
    """The words that were wrong once."""
    for path in (ROOT / "README.md", *Path(ROOT / "docs").rglob("*.md")):
        text = " ".join(path.read_text().split())
        assert "though equal" not in text, path
        assert not re.search(r"(decay|shrink)\w*(?: less)?:? by 0\.\d\d to", text), path
    assert not re.search(r"\bequal\b", claims_page())
