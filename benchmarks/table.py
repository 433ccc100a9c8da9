"""Fills the tables of docs/performance.md from CSV files of `tempreg bench` and `make gpu-check`.

    python benchmarks/table.py [FILE.csv ...] [--check]

A table stands between the lines `<!-- table: PART, MEASURE -->` and `<!-- end -->`, and has every
row of that part and measure. Between `<!-- before: PART, MEASURE -->` and `<!-- end -->` each ratio
stands beside the one that before.csv has for it, the same benchmark of an earlier version. With
--check nothing is written; exit code 1 says that the page and the files differ. Without a file its
tables say that nothing was measured.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tempreg.bench.results import read
from tempreg.files import write_text

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
FILES = ("cpu.csv", "own.csv", "gpu.csv")
RESULTS = [ROOT / "benchmarks" / "results" / name for name in FILES]
BEFORE = ROOT / "benchmarks" / "results" / "before.csv"
TABLE = re.compile(r"(<!-- (table|before): (\w+), ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOTHING = "Not measured yet.\n"


def amount(value: str, unit: str) -> str:
    """A value as people read it: bytes as MB, seconds as ms, three digits."""
    number = float(value)
    if unit == "bytes":
        number, unit = number / 2**20, "MB"
    elif unit == "s" and number < 1:
        number, unit = number * 1e3, "ms"
    digits = f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
    return f"{digits} {unit}".strip()


def line(row: dict[str, str]) -> str:
    value = amount(row["a_value"], row["unit"])
    if row["b"] == "":
        error = f" ± {float(row['a_error']):.2g}" if row["a_error"] else ""
        cells = [row["setting"], row["a"], f"{value}{error}"]
    else:
        spread = ""
        if row["median"]:
            median, lower, upper = (float(row[name]) for name in ("median", "lower", "upper"))
            spread = f"{median:.3g} ({lower:.3g} to {upper:.3g}), {row['rounds']} rounds"
        ratio = f"{float(row['ratio']):.3g}" if row["ratio"] else ""
        cells = [row["setting"], f"{row['a']} / {row['b']}", ratio, spread, value]
    return "| " + " | ".join(cells) + " |\n"


def table(rows: list[dict[str, str]]) -> str:
    if not rows:
        return NOTHING
    compared = rows[0]["b"] != ""
    names = ["setting", "A / B", "least times", "median (quartiles)", "A"]
    head = names if compared else ["setting", "what", "value"]
    loads = [float(row["load"]) for row in rows if row["load"]]
    first = rows[0]
    note = (
        f"\n{first['processor']}, {first['cpus']} cores, {first['threads']} threads, torch "
        f"{first['torch']}, {first['date']}"
    )
    if loads:
        note += f"; load {min(loads):.1f} to {max(loads):.1f}"
    rule = "|" + " --- |" * len(head) + "\n"
    body = "".join(map(line, (row for row in rows if (row["b"] != "") == compared)))
    return f"| {' | '.join(head)} |\n{rule}{body}{note}.\n"


def beside(earlier: Sequence[dict[str, str]], rows: list[dict[str, str]]) -> str:
    """Every ratio that both have: the earlier one, and the present one."""

    def ratio(row: dict[str, str]) -> str:
        median = f" ({float(row['median']):.3g})" if row["median"] else ""
        return f"{float(row['ratio']):.3g}{median}"

    def key(row: dict[str, str]) -> tuple[str, ...]:
        return row["setting"], row["a"], row["b"]

    old = {key(row): row for row in earlier if row["ratio"]}
    both = [(old[key(row)], row) for row in rows if key(row) in old]
    if not both:
        return NOTHING
    lines = [f"| {b['setting']} | {b['a']} / {b['b']} | {ratio(a)} | {ratio(b)} |" for a, b in both]
    head = "| setting | A / B | before | now |\n| --- | --- | --- | --- |\n"
    return head + "\n".join(lines) + "\n"


def filled(page: str, rows: list[dict[str, str]], earlier: Sequence[dict[str, str]] = ()) -> str:
    """The page with every table made anew."""

    def made(match: re.Match[str]) -> str:
        start, kind, *wanted, end = match.groups()
        chosen, before = (
            [row for row in all_rows if [row["part"], row["measure"]] == wanted]
            for all_rows in (rows, earlier)
        )
        return f"{start}\n{table(chosen) if kind == 'table' else beside(before, chosen)}\n{end}"

    return TABLE.sub(made, page)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="*", type=Path, default=RESULTS)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    new = filled(page, [row for file in args.results for row in read(file)], read(BEFORE))
    if args.check:
        return int(new != page)
    write_text(PAGE, new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
