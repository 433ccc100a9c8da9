"""Writes docs/bad-input.md: every bad input of tests/bad_inputs.py, and what it is answered.

    python tools/bad_input_page.py [--check]

With --check nothing is written; exit code 1 says that the page isn't what the commands say.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.bad_inputs import CASES, OWN, Answer, Case, finished, tried  # noqa: E402

from tempreg.files import write_text  # noqa: E402

PAGE = ROOT / "docs" / "bad-input.md"
HEAD = """# Bad input, and what is said of it

Every bad input that the tests try at the command line: {count} of them, each run in a folder with
`own.npz` (30 images of 8 x 8 pixels, 3 classes) and `run`, a finished run on them. Each is answered
with one sentence on standard error and an exit code: 2 where the request can't be met as it stands,
1 where it failed on the way. The page is written by `python tools/bad_input_page.py`, and a test
compares it with what the commands say. In the table, `OWN` stands for

    {own}
"""


def row(case: Case, answer: Answer) -> str:
    """One line of a table."""
    words = case.words.replace(OWN, "train OWN").replace(OWN[6:], "OWN")
    said = " ".join(answer.lines).replace("|", "\\|").replace("<", "&lt;")
    return f"| {case.what} | `{words}` | {said} | {answer.code} |\n"


def page(answers: Iterable[tuple[Case, Answer]]) -> str:
    """The page, a table for each group."""
    rows: dict[str, list[str]] = {}
    for case, answer in answers:
        rows.setdefault(case.group, []).append(row(case, answer))
    count = sum(map(len, rows.values()))
    head = "| What is wrong | `tempreg ...` | The answer | Exit code |\n| --- | --- | --- | --- |\n"
    tables = [f"\n## {group}\n\n{head}{''.join(lines)}" for group, lines in rows.items()]
    return HEAD.format(count=count, own=OWN[6:]) + "".join(tables)


def answers() -> list[tuple[Case, Answer]]:
    """All cases, run."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "template").mkdir()
        finished(place / "template")
        return [
            (case, tried(case, place / "template", place / str(i))) for i, case in enumerate(CASES)
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    new = page(answers())
    if args.check:
        return int(new != PAGE.read_text(encoding="utf-8"))
    write_text(PAGE, new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
