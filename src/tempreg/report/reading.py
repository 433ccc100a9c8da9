"""Reading the files reports are made of; whatever is wrong with one is said in a sentence."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any, final

from tempreg.errors import RequestError

_MOST_DIGITS = 30
"""Of a whole number: the largest of ours are seeds, and all must fit a floating-point number."""
_LARGEST = 1e150
"""Beyond it figures can't be drawn: their axes are wider than what they show."""


@final
class ReportError(RequestError):
    """A report can't be made of these files; the message says why."""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object."""
    return _object(read_text(path), str(path))


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """A file with one JSON object a line; a last line cut short by a kill is left out."""
    text = read_text(path)
    whole = text.split("\n")[:-1]
    return [_object(line, f"{path}, line {i}") for i, line in enumerate(whole, 1)]


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """A run's metrics.jsonl, every line with its epoch and split."""
    lines = read_json_lines(path)
    for i, line in enumerate(lines, 1):
        if not isinstance(line.get("epoch"), int) or not isinstance(line.get("split"), str):
            raise ReportError(f"{path}, line {i}: expected an epoch and a split, got {line!r:.80}")
    return lines


def read_rows(path: Path, required: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a CSV file whose first line names its columns, `required` among them."""
    # Not by splitlines, which takes more than newlines for the end of a line, also within quotes.
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    rows = []
    try:
        if missing := [name for name in required if name not in (reader.fieldnames or [])]:
            raise ReportError(f"{path}: it has no column {missing[0]!r}")
        for row in reader:
            if None in row or None in row.values():
                raise ReportError(
                    f"{path}, line {reader.line_num}: expected {len(reader.fieldnames or [])} "
                    "values, as in the first line"
                )
            rows.append(row)
    except csv.Error as error:
        raise ReportError(f"{path}, line {reader.line_num}: this is not CSV ({error})") from None
    return rows


def number(text: str, place: str) -> float:
    """A number up to 1e150 in size, or NaN for an empty cell."""
    if text == "":
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= _LARGEST:
        raise ReportError(f"{place}: expected a number or nothing, got {text!r}")
    return value


def numbers(values: Any) -> list[float] | None:
    """A list of numbers with NaN for null; None for anything else."""
    if not isinstance(values, list) or not values:
        return None
    if not all(v is None or isinstance(v, (int, float)) for v in values):
        return None
    return [math.nan if v is None else float(v) for v in values]


def read_text(path: Path) -> str:
    """A text file."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise ReportError(
            f"{path.parent} has no {path.name}: no report can be made of it"
        ) from None
    except UnicodeDecodeError as error:
        raise ReportError(f"{path} is damaged: {error}") from None


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"the number {text[:_MOST_DIGITS]}... is too large")
    return int(text)


def _real(text: str) -> float:
    if abs(value := float(text)) > _LARGEST:
        raise ValueError(f"the number {text:.30} is too large")
    return value


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_int=_whole, parse_float=_real)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{place} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise ReportError(f"{place} is damaged: expected an object, got {value!r:.80}")
    return value
