"""Labels in a table beside a folder of files: `labels.csv` with a file and its class in each row.

So PyTorch's tutorial on own data sets has them (with or without a heading), many competitions
(train.csv of id and label, beside train/), and Roboflow (`_classes.csv`, a column for each class).
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

from tempreg.data.errors import DataError
from tempreg.data.layout.class_folders import direct_files
from tempreg.data.layout.part_names import words_of

Classes = dict[str, tuple[Path, list[Path]]]
_TABLES = frozenset({".csv", ".tsv"})
_NO_LABELS = {"submission", "submit", "prediction", "predictions"}
"""Words in the names of tables that answers are to be put into."""
_LABEL = {"label", "labels", "class", "classes", "target", "targets", "category", "y"}
_LOOKED_AT = 50
"""Rows that must name files before a table is taken for one of labels."""
_MOST_BYTES = 64 << 20


def tables_in(folder: Path) -> list[Path]:
    """The tables of a folder that may hold labels, sorted."""
    found = direct_files(folder, _TABLES)
    return [path for path in found if not _NO_LABELS & set(words_of(path.stem))]


def labelled(
    place: Path, tables: Sequence[Path], suffixes: Collection[str]
) -> tuple[Classes, str] | None:
    """The files in `place`, not below it, by the class that a table gives, and a remark.

    Args:
        place: their folder.
        tables: of which at most one may name its files.
        suffixes: what files of samples end in.

    Returns:
        None where no table names a file of `place`.

    Raises:
        DataError: several tables do, or one can't be read or has no column of labels.
    """
    files = [path for path in direct_files(place, suffixes) if path not in tables]
    by_name = {file.name: file for file in files}
    for file in files:
        if file.suffix.lower() not in _TABLES:  # rows of numbers may look like their names
            by_name.setdefault(file.stem, file)
    fitting = []
    for table in tables if files else ():
        rows = _rows(table)
        looked_at = [row for _, row in rows[: _LOOKED_AT + 1]]
        if (column := _files_column(looked_at, by_name)) is not None:
            fitting.append((table, rows, column))
    if len(fitting) > 1:
        raise DataError(
            f"{fitting[0][0]} and {fitting[1][0]} both name files in {place}: keep one, or put "
            "the files of each part into a folder of its own"
        )
    if not fitting:
        return None
    table, rows, column = fitting[0]
    first = rows[0][1]
    named = _file(first, column, by_name) is not None
    headed = not named and not _cell(first, column).lower().endswith(tuple(suffixes))
    heading = first if headed else []
    found: dict[Path, str] = {}
    absent = 0
    for number, row in rows[headed:]:
        if (path := _file(row, column, by_name)) is None:
            absent += 1
            continue
        label = _label(row, heading, column, f"{table}, line {number}")
        if found.setdefault(path, label) != label:
            raise DataError(f"{table}, line {number}: {path.name} is {found[path]!r} above it")
    names = set(found.values())
    numbers = all(name.isascii() and name.isdecimal() for name in names)
    order = sorted(names, key=_as_number if numbers else None)
    remark = f"classes, by {table}: {len(found)} files of {place}"
    if absent:
        remark += f"; {absent} rows name no file there"
    if len(found) < len(files):
        remark += f"; left out, for it lacks them: {len(files) - len(found)} files"
    return {n: (place, [file for file in files if found.get(file) == n]) for n in order}, remark


def _rows(table: Path) -> list[tuple[int, list[str]]]:
    """The rows of a table that aren't empty, with the numbers of their lines; commas, semicolons
    or tabs between columns."""
    try:
        if table.stat().st_size > _MOST_BYTES:
            raise DataError(
                f"{table} is larger than {_MOST_BYTES:,} bytes: it is no table of labels"
            )
        with table.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            between = max("\t,;", key=first.count)
            reader = csv.reader(file, delimiter=between)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} can't be read as a table: {error}") from None
    except OSError as error:
        raise DataError(f"{table} can't be read: {error.strerror}") from None
    return [(line, row) for line, row in rows if any(row)]


def _as_number(digits: str) -> tuple[int, str, str]:
    """What sorts numbers of any length, of which int() refuses some."""
    value = digits.lstrip("0")
    return len(value), value, digits


def _cell(row: list[str], column: int) -> str:
    """What stands in a column; "" in one that the row doesn't have."""
    return row[column] if column < len(row) else ""


def _file(row: list[str], column: int, by_name: dict[str, Path]) -> Path | None:
    """The file that a row names, with or without folders and suffix."""
    return by_name.get(_cell(row, column).replace("\\", "/").rpartition("/")[2])


def _files_column(rows: list[list[str]], by_name: dict[str, Path]) -> int | None:
    """The column that names most files, at least one in five rows; None: no column does."""
    width = max(map(len, rows), default=0)
    named = [sum(_file(row, c, by_name) is not None for row in rows) for c in range(width)]
    best = max(range(width), key=named.__getitem__, default=None)
    return None if best is None or named[best] * 5 < len(rows) or not named[best] else best


def _label(row: list[str], heading: list[str], column: int, where: str) -> str:
    others = [c for c in range(max(len(row), len(heading))) if c != column]
    called = [c for c in others if c < len(heading) and _LABEL & set(words_of(heading[c]))]
    chosen = called if called else others
    cells = [_cell(row, c) for c in chosen]
    if len(chosen) == 1:
        if not cells[0]:
            raise DataError(f"{where} has no label")
        return cells[0]
    if heading and len(row) > len(heading):
        raise DataError(f"{where} has {len(row)} columns, and the heading {len(heading)}")
    if heading and chosen and {*cells} <= {"0", "1", "0.0", "1.0"}:
        hot = [heading[c] for c, cell in zip(chosen, cells, strict=True) if cell.startswith("1")]
        if len(hot) == 1:
            return hot[0]
        raise DataError(f"{where} has {len(hot)} classes for {row[column]}: there must be one")
    raise DataError(
        f"{where} has {len(row)} columns and none that is called label or class: one of the file "
        "and one of its label are needed"
    )
