"""The log of the crash test, and its table in docs/reliability.md."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from tempreg.files import write_text
from tests.crash.attacks import ATTACKS
from tests.crash.trial import SAME, Trial

COLUMNS = (
    "number", "command", "attack", "moment", "part", "landed", "code", "said", "again", "outcome",
)  # fmt: skip
BEGIN, END = "<!-- crash: begin -->\n", "<!-- crash: end -->\n"

Row = dict[str, str]


def read(log: Path) -> list[Row]:
    """The rows so far."""
    if not log.exists():
        return []
    return list(csv.DictReader(log.read_text(encoding="utf-8").splitlines()))


def append(log: Path, number: int, trial: Trial) -> None:
    """One more row, in its place by `number`."""
    rows = [*read(log), {name: str(getattr(trial, name, number)) for name in COLUMNS}]
    log.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: int(row["number"])))
    write_text(log, text.getvalue())


def table(rows: Sequence[Row]) -> str:
    """Command x attack: how often the command was stopped of how often it was attacked."""
    commands = list(dict.fromkeys(row["command"] for row in rows))
    attacks = [name for name in ATTACKS if any(row["attack"] == name for row in rows)]
    lines = ["| command | " + " | ".join(attacks) + " | stopped | same result |"]
    lines.append("| --- " * (len(attacks) + 3) + "|")
    for command in (*sorted(commands), None):
        some = [row for row in rows if command in (None, row["command"])]
        cells = [_cell([row for row in some if row["attack"] == attack]) for attack in attacks]
        stopped = sum(row["landed"] == "True" for row in some)
        same = sum(row["outcome"] == SAME for row in some)
        name = "**all**" if command is None else command
        lines.append(f"| {name} | {' | '.join(cells)} | {stopped} | {same} of {len(some)} |")
    return "\n".join(lines) + "\n"


def _cell(rows: Sequence[Row]) -> str:
    if not rows:
        return "-"
    return f"{sum(row['landed'] == 'True' for row in rows)} of {len(rows)}"


def fill(page: Path, rows: Sequence[Row]) -> None:
    """Put the table between the marks of the page."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    write_text(page, f"{before}{BEGIN}\n{table(rows)}\n{END}{after}")
