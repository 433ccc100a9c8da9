"""Mutation testing: do the tests notice when a random place of the sources is changed?

    python tools/mutate.py draw numbers FILE.csv         draws a sample: one change at each place
    python tools/mutate.py draw numbers FILE.csv 9 0.3   ... another one, by its seed, and smaller
    python tools/mutate.py run FILE.csv                  judges each mutant not yet judged
    python tools/mutate.py run FILE.csv survived         ... and again those of this status
    python tools/mutate.py table FILE.csv                the score by package, in Markdown

The packages of a sample and the tests that judge it: tools/mutation_samples.py. Needs mutmut (for
its operators) and coverage beside what the tests need. The sources are never touched: a copy of
them in build/mutants is mutated. FILE.csv is written after every mutant, so a run that was stopped
goes on where it was. Its columns: `first` is how a mutant fared when it was
first judged, `now` when it was last, `test` what ended it; `reading` is written by hand.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from mutation_samples import ROOT, SAMPLES, Sample, sample_of
from mutation_sites import Source
from mutation_tests import judged, preload, record

PACKAGE = ROOT / "src" / "tempreg"
WORK = ROOT / "build" / "mutants"
TREE = WORK / "tree"
COLUMNS = ("package", "file", "line", "function", "operator", "site", "variant", "change",
           "first", "now", "test", "reading")  # fmt: skip
Row = dict[str, str]


def main(words: list[str]) -> None:
    match words:
        case ["draw", sample, name]:
            write(Path(name), draw(SAMPLES[sample], SAMPLES[sample].seed, 1.0))
        case ["draw", sample, name, seed, share]:
            write(Path(name), draw(SAMPLES[sample], int(seed), float(share)))
        case ["run", name, *again]:
            run(Path(name), set(again) | {""})
        case ["table", name]:
            print(table(read(Path(name))))
        case _:
            raise SystemExit(__doc__)


def files(sample: Sample, package: str) -> list[Path]:
    """The package's sources that are mutated."""
    found = sorted(PACKAGE.glob(sample.packages[package][0]))
    return [file for file in found if str(file.relative_to(PACKAGE)) not in sample.left_out]


def draw(sample: Sample, seed: int, share: float) -> list[Row]:
    """Places without replacement, all of a package equally likely; of each, one variant."""
    rng = random.Random(seed)
    rows = []
    for package, (_, count) in sample.packages.items():
        sources = {file: Source(file) for file in files(sample, package)}
        places = [(file, i) for file, source in sources.items() for i in range(len(source.sites))]
        drawn = []
        for file, index in rng.sample(places, len(places)):
            source, site = sources[file], sources[file].sites[index]
            variant = rng.randrange(len(site.variants))
            try:
                change = source.change(source.mutated(index, variant))
            except SyntaxError:  # an argument dropped before *: no program at all
                continue
            drawn.append(
                dict(
                    zip(
                        COLUMNS,
                        (package, str(file.relative_to(PACKAGE)), str(site.line), site.function,
                         site.operator, str(index), str(variant), change, "", "", "", ""),
                        strict=True,
                    )
                )
            )  # fmt: skip
            if len(drawn) == round(share * count):
                break
        rows += sorted(drawn, key=lambda row: (row["file"], int(row["site"])))
    return rows


def run(path: Path, statuses: set[str]) -> None:
    """Judges the mutants whose status is one of these, and writes each down."""
    rows = read(path)
    sample = sample_of(rows[0]["package"])
    preload()
    lines, seconds = tests_by_line(sample)
    # In an order drawn once, so that what a stopped run has judged is a sample, too.
    due = [row for row in rows if row["now"] in statuses]
    for number, row in enumerate(random.Random(0).sample(due, len(due)), 1):
        source = Source(PACKAGE / row["file"])
        text = source.mutated(int(row["site"]), int(row["variant"]))
        if source.change(text) != row["change"]:
            raise SystemExit(f"{row['file']} is not what the sample was drawn from: draw again")
        needed = source.lines_needed(int(row["line"]))
        tests = chosen(sample, row["file"], needed, lines, seconds)
        with changed(TREE / "src" / "tempreg" / row["file"], text):
            outcome = judged(TREE, tests, seconds)
        row["now"], row["test"] = outcome
        row["first"] = row["first"] or outcome.status
        write(path, rows)
        print(f"{number}/{len(due)} {outcome.status:9} {row['file']}:{row['line']} {outcome.test}")


def tests_by_line(sample: Sample) -> tuple[dict[str, dict[str, list[str]]], dict[str, float]]:
    """Which tests run which line of which file, and their seconds; of a fresh copy, once.

    The map is made again where a source or a test is newer.
    """
    made = WORK / f"map-{sample.seed}.json"
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    if not made.exists() or made.stat().st_mtime < max(f.stat().st_mtime for f in sources):
        shutil.rmtree(TREE, ignore_errors=True)
        without = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in ("src", "tests", "examples", "docs"):
            shutil.copytree(ROOT / name, TREE / name, ignore=without)
        shutil.copy(ROOT / "pyproject.toml", TREE)
        shared = WORK / "shared"
        if (ROOT.parent / "shared").exists() and not shared.is_symlink():
            shared.symlink_to(ROOT.parent / "shared")
        record(TREE, sample.tests, made)
    found = json.loads(made.read_text())
    print(f"{len(found['seconds'])} tests; left out, for they fail here or are skipped: "
          f"{', '.join(found['left out']) or 'none'}")  # fmt: skip
    return found["lines"], found["seconds"]


def chosen(
    sample: Sample,
    file: str,
    needed: set[int] | None,
    lines: dict[str, dict[str, list[str]]],
    seconds: dict[str, float],
) -> list[str]:
    """The tests that run one of the needed lines, or any where `needed` is None; fastest first."""
    own = lines.get(file, {})
    found = {test for line, tests in own.items() if needed is None or int(line) in needed
             for test in tests}  # fmt: skip
    extra = (*sample.at_import, sample.elsewhere.get(file, sample.at_import[0]))
    found |= {test for test in seconds if test.startswith(extra)}
    left, order = float(sample.budget), []
    for test in sorted(found, key=lambda test: (seconds[test], test)):
        left -= seconds[test]
        if left > 0 or not order:
            order.append(test)
    return order


@contextmanager
def changed(file: Path, text: str) -> Iterator[None]:
    """The copy's file with this text. No bytecode of it outlives the block."""
    before = file.read_text(encoding="utf-8")
    bytecode = [*(file.parent / "__pycache__").glob(f"{file.stem}.*")]
    try:
        for stale in bytecode:
            stale.unlink()
        file.write_text(text, encoding="utf-8")
        yield
    finally:
        file.write_text(before, encoding="utf-8")
        for stale in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            stale.unlink()


def table(rows: list[Row]) -> str:
    """Score by package: places, sampled, killed at first and now, and what is left."""
    lines = [
        "| Package | places | mutants | killed at first | killed now | left: equivalent | left |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    weighted = {"first": 0.0, "now": 0.0}
    sample = sample_of(rows[0]["package"])
    places = {p: sum(len(Source(file).sites) for file in files(sample, p)) for p in sample.packages}
    for package in sample.packages:
        own = [row for row in rows if row["package"] == package]
        for when in weighted:
            weighted[when] += places[package] * len(killed(own, when)) / max(len(own), 1)
        lines.append(_line(package, places[package], own))
    lines.append(_line("all", sum(places.values()), rows))
    share = {when: value / sum(places.values()) for when, value in weighted.items()}
    return "\n".join(lines) + (
        f"\n\nWith each package weighted by its places: {share['first']:.1%} at first, "
        f"{share['now']:.1%} now."
    )


def killed(rows: list[Row], when: str) -> list[Row]:
    """Those that a test noticed, endless loops among them."""
    return [row for row in rows if row[when] in ("killed", "timeout")]


def _line(name: str, places: int, rows: list[Row]) -> str:
    first, now = (len(killed(rows, when)) for when in ("first", "now"))
    equal = sum(row["reading"].startswith("equivalent") for row in rows)
    shares = [f"{n} ({n / max(len(rows), 1):.1%})" for n in (first, now)]
    cells = [name, str(places), str(len(rows)), *shares, str(equal), str(len(rows) - now - equal)]
    return f"| {' | '.join(cells)} |"


def read(path: Path) -> list[Row]:
    """The rows of the sample."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[Row]) -> None:
    """Replaces the sample's file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(path)


if __name__ == "__main__":
    main(sys.argv[1:])
