"""Damaged and hostile files through every reader, in rounds, until there is no time left.

    python -m tests.fuzz [--minutes 60] [--log FILE.csv] [--page FILE.md] [--only READER]

Inputs are drawn from valid files and from earlier inputs that took a new step through the sources,
which are kept in build/fuzz/corpus; each round goes on where the log ends. What is neither read nor
refused in a sentence is kept in build/fuzz, and the first three alike are printed: a crash, a
traceback, a warning that names no file, a line on standard error, 20 seconds of processor time, a
gigabyte, a file elsewhere. The exit code is 1 where there was any.
"""

from __future__ import annotations

import argparse
import csv
import re
import resource
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tempreg.files import replacing, write_text
from tests.fuzz.steps import Corpus
from tests.fuzz.targets import targets
from tests.fuzz.trial import plain_name, tried

COLUMNS = ("reader", "inputs", "read", "refused", "kept", "crashes", "seconds")
BEGIN, END = "<!-- fuzz: begin -->\n", "<!-- fuzz: end -->\n"
CRASHES, CORPORA = Path("build/fuzz/crashes"), Path("build/fuzz/corpus")
AT_ONCE = 2_000
ROUND = 3
"""Seconds of a reader before it is the next one's turn."""


def main(words: Sequence[str] | None = None) -> int:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=60.0, help="of processor time")
    parser.add_argument("--log", type=Path, default=Path("build/fuzz/fuzz.csv"))
    parser.add_argument("--page", type=Path, help="Markdown that has a place for the table")
    parser.add_argument("--only", action="append", default=[], metavar="READER")
    args = parser.parse_args(words)
    known = targets()
    if unknown := sorted(set(args.only) - known.keys()):
        parser.error(f"no reader {unknown[0]!r}: there are {', '.join(known)}")
    rows = read(args.log)
    seen, begin = Counter[str](), processor_time()
    corpora = {name: Corpus(CORPORA / plain_name(name)) for name in known}
    while processor_time() < begin + 60 * args.minutes:
        for name in args.only or known:
            row = rows.setdefault(name, dict.fromkeys(COLUMNS[1:], 0.0))
            start, count = processor_time(), 20
            while processor_time() < min(start + ROUND, begin + 60 * args.minutes):
                before = processor_time()
                found = tried(
                    known[name], Path("build/fuzz/work"), int(row["inputs"]), count, CRASHES,
                    corpora[name],
                )  # fmt: skip
                row["inputs"] += found.tried
                row["read"] += found.read
                row["refused"] += found.refused
                row["kept"] += found.kept
                row["crashes"] += len(found.crashes)
                row["seconds"] += (took := processor_time() - before)
                for line in found.crashes:
                    kind = name + re.sub(r"\d+", "#", line.partition(": ")[2])
                    seen[kind] += 1
                    if seen[kind] <= 3:
                        print(line, flush=True)
                count = max(1, min(AT_ONCE, int(count * 5 / max(took, 0.1))))
            write(args.log, rows)
    print(table(rows))
    if args.page is not None:
        text = args.page.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        write_text(args.page, f"{before}{BEGIN}\n{table(rows)}\n\n{END}{rest.split(END)[1]}")
    return int(bool(seen))


def processor_time() -> float:
    """Seconds of this process and of those that it started and that ended."""
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def read(path: Path) -> dict[str, dict[str, float]]:
    """The log's rows by reader."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {
            row["reader"]: {name: float(row[name]) for name in COLUMNS[1:]}
            for row in csv.DictReader(file)
        }


def write(path: Path, rows: dict[str, dict[str, float]]) -> None:
    """Replace the log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, row in rows.items():
            writer.writerow([name, *(round(row[column]) for column in COLUMNS[1:])])


def table(rows: dict[str, dict[str, float]]) -> str:
    """The log in Markdown, and all together."""
    lines = [
        "| Reader | inputs | read | refused | gone on from | crashes | processor seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    whole = {column: sum(row[column] for row in rows.values()) for column in COLUMNS[1:]}
    for name, row in [*sorted(rows.items()), ("all", whole)]:
        lines.append(f"| {name} | {' | '.join(f'{row[c]:,.0f}' for c in COLUMNS[1:])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
